"""Judges the detection of drift: on seeded streams with known drifts, and on those without any."""
