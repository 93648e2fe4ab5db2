"""What an expert would write by hand for one pipeline, without riverrun: the measure of its overhead."""
