"""Run Kafka and Redis until a signal comes: ``python -m riverrun.embedded FOLDER [--json]``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from riverrun.embedded.cluster import open_cluster
from riverrun.embedded.jars import kafka_jars
from riverrun.embedded.server import announce_on_stderr
from riverrun.errors import RiverrunError


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the servers, print their addresses, wait for a signal and stop them.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program; that of this process unless given.

    Returns
    -------
    int
        The exit status: 0, or 1 when a server cannot be had.
    """
    parser = argparse.ArgumentParser(prog="python -m riverrun.embedded", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(".riverrun"), help="data folder (%(default)s)")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the settings for other processes as JSON, passwords included",
    )
    parser.add_argument("--fetch", action="store_true", help="only fetch what Kafka needs, and end")
    options = parser.parse_args(arguments)
    asked_to_stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: asked_to_stop.set())
    try:
        if options.fetch:
            kafka_jars(announce_on_stderr)
            return 0
        with open_cluster(options.folder) as cluster:
            addresses = cluster.addresses
            shown = json.dumps(addresses.as_environment()) if options.json else repr(addresses)
            sys.stdout.write(f"{shown}\n")
            sys.stdout.flush()
            asked_to_stop.wait()
    except RiverrunError as error:
        sys.stderr.write(f"riverrun: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
