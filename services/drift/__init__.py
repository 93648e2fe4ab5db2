"""Tells what is no longer as it was: inputs, predictions, errors, labels."""
