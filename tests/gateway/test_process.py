"""The gateway as a process: it starts, serves, ends well on a signal, and its log holds no key."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from tests.gateway.world import NAME, PATIENCE_S, GatewayWorld, until
from tests.telemetry.collector import Collector

PARENT = "traceparent"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_well_on_a_signal(world: GatewayWorld, number: signal.Signals) -> None:
    """After a signal it answers no more, tidies up, and exits with 0; no key is in what it printed.

    Meanwhile it has counted and traced, for whoever asked for that by OTLP.
    """
    with Collector() as collector:
        printed, code = _serve_once(world, number, collector)
    assert code == 0, printed
    assert "serving pipeline gw at" in printed
    assert "Traceback" not in printed
    assert world.key.split(".")[2] not in printed
    assert _statuses(collector) >= {"200", "202"}
    (span,) = collector.spans
    assert (span.name, span.kind) == ("POST /v1/streams/asked", span.SPAN_KIND_SERVER)
    records = world.records(f"{NAME}-raw.asked")
    traced = [value for record in records for name, value in record.headers if name == PARENT]
    own = f"00-{span.trace_id.hex()}-{span.span_id.hex()}-".encode()
    assert len([value for value in traced if value is not None and value.startswith(own)]) == 1


def _statuses(collector: Collector) -> set[str]:
    points = collector.metrics["riverrun_gateway_responses"].sum.data_points
    return {each.value.string_value for point in points for each in point.attributes}


def _serve_once(world: GatewayWorld, number: signal.Signals, collector: Collector) -> tuple[str, int]:
    """Let a process serve two requests, and end it; return what it printed, and its exit code."""
    port = _free_port()
    environment = {
        **os.environ,
        **world.addresses.as_environment(),
        "RIVERRUN_DATA": str(world.settings.data_folder),
        "RIVERRUN_GATEWAY_PORT": str(port),
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_TRACES_SAMPLER": "always_on",
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-m", "services.gateway", str(world.file)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: process.poll() is not None or _is_ready(port), "the process serves")
            headers = {"Authorization": f"Bearer {world.key}"}
            answer = httpx.get(f"http://127.0.0.1:{port}/metrics", headers=headers, trust_env=False)
            assert answer.status_code == 200
            url = f"http://127.0.0.1:{port}/v1/streams/asked"
            event = {"who": f"w-{number}", "place": "x", "at": 1_700_000_000_000, "size": 1.0}
            assert httpx.post(url, json=event, headers=headers, trust_env=False).status_code == 202
        finally:
            process.send_signal(number)
            _, printed = process.communicate(timeout=PATIENCE_S)
    return printed, process.returncode


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
