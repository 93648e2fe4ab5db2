"""The ports plugged into Kafka, Redis, RocksDB and a schema registry."""
