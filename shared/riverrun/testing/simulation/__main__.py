"""``python -m riverrun.testing.simulation --seed N``: one seed, shrunk if it fails; or many, with ``--count``."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from riverrun.testing.simulation.script import make_script
from riverrun.testing.simulation.trial import first_failure, shrink, try_script


def main(arguments: Sequence[str]) -> int:
    """Run; return 1 if a simulation failed."""
    parser = argparse.ArgumentParser(prog="python -m riverrun.testing.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds, up to the first that fails")
    parser.add_argument("--log", action="store_true", help="show what the members log")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO if options.log else logging.CRITICAL, format="%(message)s")
    with tempfile.TemporaryDirectory(prefix="riverrun-simulation-") as name:
        folder = Path(name)
        failure = first_failure(range(options.seed, options.seed + options.count), folder)
        if failure is None:
            sys.stdout.write(f"{options.count} simulations from seed {options.seed} on: nothing lost, nothing twice\n")
            return 0
        sys.stdout.write(f"{failure}\n\nshrunk:\n")
        script = shrink(make_script(failure.seed), folder)
        settings = f"{script.partitions} partitions, batches of {script.batch_limit}"
        sys.stdout.write(f"  {settings}, labels default: {script.labels_default}, drift is watched: {script.watched}\n")
        for action in script.actions:
            messages = " ".join(f"{message.stream}/{message.id or 'bad'}" for message in action.messages)
            sys.stdout.write(f"  {action.kind:8} {action.who:2} {action.at:6} {messages}\n")
        for wrong in try_script(script, folder)[:8]:
            sys.stdout.write(f"  wrong: {wrong:.600}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
