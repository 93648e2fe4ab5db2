"""Attacks a riverrun of its own and writes ``build/malformed.json``: ``python -m hostile [--count N] [--seed N]``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hostile.outcome import Outcome
from hostile.prey import make_prey
from hostile.routes import attack_health, attack_routes
from hostile.scene import Scene
from hostile.topics import attack_topics
from riverrun.embedded import open_cluster
from riverrun.errors import RiverrunError

_MOST_MB: Final = 512.0
"""What a process under attack may have, however much is sent: half as much again as any had."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the attack; return 0 if nothing crashed or stopped, all is accounted for and memory was bounded, else 1."""
    parser = argparse.ArgumentParser(prog="python -m hostile", description=__doc__)
    parser.add_argument(
        "--count",
        type=int,
        default=10_000,
        help="malformed messages, as many requests to the gateway, and as many to health endpoints (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the chance that makes them (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("build/malformed.json"), help="the figures (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as scratch, open_cluster(Path(scratch) / "servers") as cluster:
            scene = Scene(make_prey("prey", Path(scratch), cluster.addresses), Path(scratch))
            try:
                found = _attack(scene, options.count, options.seed)
            finally:
                scene.close()
    except (RiverrunError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    figures = _figures(scene, found)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({**figures, "seed": options.seed}, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures))
    for fault in (fault for outcome in found.values() for fault in outcome.faults):
        print(fault, file=sys.stderr)
    swollen = max(scene.peak_rss_mb.values()) > _MOST_MB
    if swollen:
        print(f"a process took more than {_MOST_MB:.0f} MiB of memory", file=sys.stderr)
    return 1 if figures["crashes"] or figures["unaccounted"] or swollen else 0


def _attack(scene: Scene, count: int, seed: int) -> dict[str, Outcome]:
    scene.start("stages", "alerts")
    topics = attack_topics(scene, count, seed)
    # Only now, so that there are alerts to be acknowledged.
    scene.start("gateway")
    return {
        "topics": topics,
        "routes": attack_routes(scene, count, seed),
        "health": attack_health(scene, count, seed),
    }


def _figures(scene: Scene, found: dict[str, Outcome]) -> dict[str, object]:
    """Return the figures; ``answers`` add up to ``tried``, each in its own way, and ``valid_after_all`` is beside."""
    routes = {name: each.by_route for name, each in found.items() if each.by_route}
    return {
        "tried": sum(outcome.tried for outcome in found.values()),
        "crashes": scene.crashes + len(scene.stopped),
        "unaccounted": sum(outcome.unaccounted for outcome in found.values()),
        "peak_rss_mb": round(max(scene.peak_rss_mb.values())),
        "peak_rss_mb_of": {name: round(each) for name, each in scene.peak_rss_mb.items()},
        "stopped": scene.stopped,
        "tried_of": {name: outcome.tried for name, outcome in found.items()},
        "answers": {name: dict(sorted(outcome.answers.items())) for name, outcome in found.items()},
        "valid_after_all": {name: dict(sorted(outcome.valid.items())) for name, outcome in found.items()},
        "by_route": {
            name: {route: dict(sorted(counts.items())) for route, counts in sorted(each.items())}
            for name, each in routes.items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())
