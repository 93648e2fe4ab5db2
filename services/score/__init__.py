"""The ``score`` stage: every model's prediction for every vector, the champion's first."""
