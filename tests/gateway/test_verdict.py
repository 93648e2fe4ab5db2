"""The gateway's benchmark judges by the median, fails when a goal is missed, and wants a model that has learned."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gateway import __main__ as benchmark
from benchmarks.gateway.verdict import Rounds, summary

SLOW = {"p50_ms": 2.0, "p99_ms": 9.0, "per_s": 500.0, "cpu_us": 300.0, "errors": 0.0}
GOOD = {"p50_ms": 1.0, "p99_ms": 4.0, "per_s": 2_500.0, "cpu_us": 200.0, "errors": 0.0}
FAIR = {"p50_ms": 1.5, "p99_ms": 5.0, "per_s": 2_000.0, "cpu_us": 250.0, "errors": 0.0}


def rounds(*measured: dict[str, float]) -> Rounds:
    """Return what rounds measured, the same at a rate and flat out."""
    return {"at_rate": list(measured), "saturated": list(measured)}


def judged(*measured: dict[str, float]) -> dict[str, Any]:
    """Return the summary of the gateway's rounds, beside a bare side that is slow."""
    return summary({"gateway": rounds(*measured), "bare": rounds(SLOW)})


def test_the_median_decides_and_the_best_is_told() -> None:
    """One good round of three does not meet the goals, two do; each figure stands beside its best."""
    missed = judged(GOOD, SLOW, SLOW)
    assert (missed["met"], missed["missed"]) == (False, ["p99_ms", "per_s"])
    assert (missed["gateway"], missed["best"]["gateway"]) == (SLOW, GOOD)
    met = judged(GOOD, SLOW, FAIR)
    assert (met["met"], met["missed"], met["gateway"], met["best"]["gateway"]) == (True, [], FAIR, GOOD)
    assert met["bare"] == met["best"]["bare"] == SLOW


@pytest.mark.parametrize(("worse", "name"), [({"p99_ms": 5.1}, "p99_ms"), ({"per_s": 1_999.0}, "per_s")])
def test_each_goal_is_held(worse: dict[str, float], name: str) -> None:
    """A little beyond it is missed, and named; so is an answer that was none, in any round."""
    assert judged(FAIR | worse)["missed"] == [name]
    assert judged(FAIR, FAIR, FAIR | {"errors": 1.0})["missed"] == ["errors"]


@pytest.mark.parametrize(("measured", "code"), [(GOOD, 0), (SLOW, 1)])
def test_a_missed_goal_fails_the_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, measured: dict[str, float], code: int
) -> None:
    """It ends with 1, having written the figures all the same."""
    out = tmp_path / "gateway.json"
    monkeypatch.setattr(sys, "argv", ["benchmark", "--out", str(out)])
    monkeypatch.setattr(benchmark, "_measure", lambda *_: judged(measured))
    assert benchmark.main() == code
    assert json.loads(out.read_text(encoding="utf-8"))["met"] == (code == 0)


@contextmanager
def serving(version: int) -> Iterator[int]:
    """Serve predictions by a model of a version; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"version": version}).encode())

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_model_that_has_learned_nothing_is_not_measured() -> None:
    """Version 0 is refused before any load is sent."""
    with serving(100) as port:
        assert benchmark.served_version(port, "key") == 100
    with serving(0) as port, pytest.raises(RuntimeError, match="learned nothing"):
        benchmark.served_version(port, "key")
