"""The ``features`` stage: windowed aggregates per entity, and a point-in-time vector for each event to predict on."""
