"""Models: what a learner and a scorer hold, and transformers that make River's estimators fit streams."""
