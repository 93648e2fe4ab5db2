"""Tests of records: their wire format, their schemas and their ids."""
