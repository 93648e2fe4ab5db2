"""The typed records that stages exchange, their wire format and their schema ids."""
