"""The figures, a module each: ``measure`` sets up what is compared, runs it, and returns the figure."""
