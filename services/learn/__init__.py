"""The ``learn`` stage: evaluates every model on what it said, then teaches it what was so."""
