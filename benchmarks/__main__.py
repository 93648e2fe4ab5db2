"""Measures the figures: ``python -m benchmarks [--full] [--only NAME ...]``; see `benchmarks.cli`."""

import sys

if __name__ == "__main__":
    # Not above: each process that a benchmark spawns imports this file anew, and would import every benchmark with it.
    from benchmarks.cli import main

    sys.exit(main())
