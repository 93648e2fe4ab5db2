"""Faults of every kind on real servers with load on, and a judge that would notice: ``python -m chaos --seed N``."""
