"""Throws malformed messages and requests at a running riverrun, and says what became of each of them."""
