"""The ``gateway`` service: HTTP in front of a pipeline. Predict, publish, see, operate; keeps nothing of its own."""
