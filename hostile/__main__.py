"""Attacks a riverrun of its own and writes ``build/malformed.json``: ``python -m hostile [--count N] [--seed N]``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hostile.routes import attack_routes
from hostile.topics import Outcome, attack_topics, make_prey
from riverrun.embedded import open_cluster
from riverrun.errors import RiverrunError

_MOST_MB: Final = 512.0
"""What a process under attack may have, however much is sent: half as much again as any had."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the attack; return 0 if nothing crashed, all is accounted for and memory was bounded, else 1."""
    parser = argparse.ArgumentParser(prog="python -m hostile", description=__doc__)
    parser.add_argument(
        "--count", type=int, default=10_000, help="malformed messages, and as many requests (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the chance that makes them (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("build/malformed.json"), help="the figures (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as scratch, open_cluster(Path(scratch) / "servers") as cluster:
            prey = make_prey("prey", Path(scratch), cluster.addresses)
            found = {
                "topics": attack_topics(prey, options.count, options.seed, Path(scratch)),
                "routes": attack_routes(prey, options.count, options.seed, Path(scratch)),
            }
    except RiverrunError as error:
        print(error, file=sys.stderr)
        return 1
    figures = _figures(found)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({**figures, "seed": options.seed}, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures))
    swollen = max(outcome.peak_rss_mb for outcome in found.values()) > _MOST_MB
    if swollen:
        print(f"a process took more than {_MOST_MB:.0f} MiB of memory", file=sys.stderr)
    return 1 if figures["crashes"] or figures["unaccounted"] or swollen else 0


def _figures(found: dict[str, Outcome]) -> dict[str, object]:
    outcomes = found.values()
    return {
        "tried": sum(outcome.tried for outcome in outcomes),
        "crashes": sum(outcome.crashes for outcome in outcomes),
        "unaccounted": sum(outcome.unaccounted for outcome in outcomes),
        "peak_rss_mb": round(max(outcome.peak_rss_mb for outcome in outcomes)),
        "peak_rss_mb_of": {name: round(outcome.peak_rss_mb) for name, outcome in found.items()},
        "answers": {name: dict(sorted(outcome.answers.items())) for name, outcome in found.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
