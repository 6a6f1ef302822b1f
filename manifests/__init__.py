"""The data contract: record types, frame arithmetic, input formats, shard reading and writing."""
