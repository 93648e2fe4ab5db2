"""The independent auditor behind ``riverrun verify``."""
