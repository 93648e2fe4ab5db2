"""`ingest`: producers' topics to `events` and `dead-letters`; decoding, rules, duplicates."""
