"""In-memory stand-ins, held to the same contract suites as the real parts."""
