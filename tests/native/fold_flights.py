"""Folds the first flights of the year and prints, for each topic of the pipeline, a digest of all that was written.

``python -m tests.native.fold_flights FILE EVENTS``; the file is one of `benchmarks.measures.instructions`.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.in_memory import Saved, run
from riverrun.features import panes
from riverrun.runtime.deployment import Deployment


def digests(saved: Saved, events: int) -> dict[str, str]:
    """Return the digest of each topic's keys, values and headers, in their order."""
    found: dict[str, str] = {}

    @contextmanager
    def watched(deployment: Deployment) -> Iterator[Deployment]:
        yield deployment
        for kind, topic in deployment.topology.names.items():
            digest = hashlib.sha256()
            for record in deployment.log.tail(topic, 0, 1 << 30):
                digest.update(repr((record.key, record.value, record.headers)).encode())
            found[kind.name] = digest.hexdigest()

    with tempfile.TemporaryDirectory() as folder:
        run(saved, events, Path(folder), watched)
    return found


if __name__ == "__main__":
    compiled = not (panes.__file__ or "").endswith(".py")
    result = digests(pickle.loads(Path(sys.argv[1]).read_bytes()), int(sys.argv[2]))
    sys.stdout.write(json.dumps({"compiled": compiled, "digests": result}))
