"""Writes ``docs/scaling.md``: ``python -m benchmarks.scaling [--measure] [--rate N] [--core-hour EURO …]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from benchmarks.scaling.costs import keep_costs, read_costs
from benchmarks.scaling.measuring import measure
from benchmarks.scaling.page import PAGE, page, sizes
from benchmarks.scaling.sizing import Prices


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure if asked to, simulate, and write the page; with other prices or rates, only print the sizes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure the costs anew, and keep them")
    parser.add_argument("--bench", type=Path, default=Path("build/bench.json"), help="figures on real servers")
    parser.add_argument("--rate", type=float, nargs="+", help="print the sizes for so many events a second")
    standing = Prices()
    for field in fields(Prices):
        value = getattr(standing, field.name)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(value), default=value, help="(%(default)s)")
    options = parser.parse_args(arguments)
    if options.measure:
        keep_costs(measure(options.bench))
    prices = Prices(**{field.name: getattr(options, field.name) for field in fields(Prices)})
    if options.rate or prices != standing:
        print("\n".join(sizes(read_costs(), prices, options.rate or (1_000_000,))))
        return 0
    PAGE.write_text(page(read_costs(), prices), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
