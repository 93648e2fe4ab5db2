"""Producers' bytes to events: decoding, validation, and why something is not accepted. What `ingest` and HTTP share."""
