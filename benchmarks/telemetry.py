"""What metrics and traces cost: the chain in memory, with and without them, in turn, in processor time.

``python -m benchmarks.telemetry [EVENTS] [ROUNDS]`` prints the figures as JSON. Processor time, not throughput: what
else the machine does would drown a difference of a few hundredths. Spans go to a collector in a process of its own.
Each variant is run once a round; of its rounds the cheapest counts.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Final

from opentelemetry.sdk.resources import Resource

from benchmarks.in_memory import Saved, run
from benchmarks.measures.instructions import save
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.observer import Observer
from riverrun.telemetry.exposition import exposition
from riverrun.telemetry.otlp_traces import OtlpTracing
from riverrun.telemetry.settings import Sampling

VARIANTS: Final = {
    "off": None,
    "scraped": Sampling(ratio=0.0),
    "default": Sampling(),
    "unsampled": Sampling(),
    "most": Sampling(ratio=1.0),
    "every": Sampling(ratio=1.0, per_second=1 << 40),
}
"""Nothing; metrics read each second and no trace; the default; the same where each record has a context that is not
sampled; as many traces as the bound allows; all records.
"""
_UNSAMPLED: Final = (("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),)

_SCRAPE_S: Final = 1.0


class _Sink(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, text: str, *args: object) -> None:
        """Say nothing."""


def sink() -> None:
    """Take whatever is sent, until killed."""
    server = HTTPServer(("127.0.0.1", 0), _Sink)
    print(server.server_address[1], flush=True)
    server.serve_forever()


@contextmanager
def _measured(deployment: Deployment, sampling: Sampling | None) -> Iterator[Deployment]:
    """Print the processor time that is used within, the last spans included, setting up not."""
    if sampling is None:
        began = time.process_time()
        yield deployment
        print(time.process_time() - began)
        return
    tracing = OtlpTracing(Resource({"service.name": "benchmark"}), sampling)
    observed = replace(deployment, observer=Observer(tracing=tracing))
    stopping = threading.Event()

    def scrape() -> None:
        while not stopping.wait(_SCRAPE_S):
            exposition(observed.observer.meter.read(), {"pipeline": "in-memory"})

    thread = threading.Thread(target=scrape, daemon=True)
    began = time.process_time()
    thread.start()
    yield observed
    stopping.set()
    thread.join()
    tracing.close()
    print(time.process_time() - began)


def once(variant: str, file: Path, events: int) -> None:
    """Run one variant; print its processor time in seconds."""
    sampling = VARIANTS[variant]
    with tempfile.TemporaryDirectory() as folder:
        headers = _UNSAMPLED if variant == "unsampled" else ()
        run(_load(file), events, Path(folder), lambda deployment: _measured(deployment, sampling), headers)


def _load(file: Path) -> Saved:
    loaded: Saved = pickle.loads(file.read_bytes())
    return loaded


def compare(events: int, rounds: int) -> dict[str, object]:
    """Run all variants in turn; return the figures."""
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "flights.pickle"
        save(file, events)
        command = [sys.executable, "-m", "benchmarks.telemetry"]
        with subprocess.Popen([*command, "sink"], stdout=subprocess.PIPE, text=True) as collector:
            try:
                assert collector.stdout is not None
                port = int(collector.stdout.readline())
                environment = {
                    **os.environ,
                    "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
                    "NO_PROXY": "127.0.0.1",
                    "PYTHONHASHSEED": "0",
                }
                for _ in range(rounds):
                    for variant in VARIANTS:
                        ran = subprocess.run(
                            [*command, "once", variant, str(file), str(events)],
                            env=environment,
                            capture_output=True,
                            text=True,
                            check=True,
                        )
                        used = float(ran.stdout)
                        best[variant] = min(used, best.get(variant, used))
            finally:
                collector.kill()
    each = {variant: used / events * 1e6 for variant, used in best.items()}
    return {
        "events": events,
        "rounds": rounds,
        "us_per_event": {variant: round(value, 2) for variant, value in each.items()},
        "cost": {variant: round(value / each["off"] - 1, 4) for variant, value in each.items()},
        "us_per_trace": round(each["every"] - each["off"], 1),
    }


def main(arguments: Sequence[str]) -> int:
    """Compare, or do what a child process is to do."""
    if arguments[:1] == ["sink"]:
        sink()
    elif arguments[:1] == ["once"]:
        once(arguments[1], Path(arguments[2]), int(arguments[3]))
    else:
        events, rounds = (*map(int, arguments), *(20_000, 5)[len(arguments) :])
        print(json.dumps(compare(events, rounds), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
