"""The gateway as a process: it starts, serves, ends well on a signal, and its log holds no key."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from tests.gateway.world import PATIENCE_S, GatewayWorld, until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_well_on_a_signal(world: GatewayWorld, number: signal.Signals) -> None:
    """After a signal it answers no more, tidies up, and exits with 0; no key is in what it printed."""
    port = _free_port()
    environment = {
        **os.environ,
        **world.addresses.as_environment(),
        "RIVERRUN_DATA": str(world.settings.data_folder),
        "RIVERRUN_GATEWAY_PORT": str(port),
    }
    command = [sys.executable, "-m", "services.gateway", str(world.file)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: process.poll() is not None or _is_ready(port), "the process serves")
            headers = {"Authorization": f"Bearer {world.key}"}
            answer = httpx.get(f"http://127.0.0.1:{port}/metrics", headers=headers, trust_env=False)
            assert answer.status_code == 200
        finally:
            process.send_signal(number)
            _, printed = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, printed
    assert "serving pipeline gw at" in printed
    assert "Traceback" not in printed
    assert world.key.split(".")[2] not in printed


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
