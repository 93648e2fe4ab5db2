"""The exactly-once runtime: written once, for every stage."""
