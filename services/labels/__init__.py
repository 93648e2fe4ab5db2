"""The labels stage: joins delayed labels, so that every prediction ends exactly once."""
