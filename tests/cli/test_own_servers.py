"""Without settings: ``up`` starts Kafka and Redis, other commands find them, and only ``up`` stops them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from riverrun.embedded import EmbeddedCluster
from tests.cli.commands import SERVERS, run
from tests.cli.parcels import PROGRAM


def test_commands_share_the_servers_that_up_runs(pipeline_file: Path) -> None:
    """While ``up`` runs, ``status`` uses its servers and leaves them running; at its end ``up`` stops them.

    One that crashes meanwhile is brought back.
    """
    data = pipeline_file.parent / "data"
    settings = {name: value for name, value in os.environ.items() if name not in SERVERS}
    settings["RIVERRUN_DATA"] = str(data)
    command = [PROGRAM, "up", str(pipeline_file), "--json"]
    with subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            progress = json.loads(process.stdout.readline())
            servers = EmbeddedCluster(data)
            assert servers.find()
            pids = (servers.kafka.pid, servers.redis.pid)
            looks = [
                run("status", pipeline_file, "--interval", "0", "--json", environment={"RIVERRUN_DATA": str(data)})
                for _ in range(2)
            ]
            assert [look.code for look in looks] == [0, 0]
            assert (servers.kafka.pid, servers.redis.pid) == pids
            assert process.poll() is None
            servers.redis.kill()
            while servers.redis.pid in {0, pids[1]}:
                assert process.poll() is None
                time.sleep(0.1)  # another process brings it back, and cannot wake us
                servers.find()
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    assert set(progress) == {"partitions", "records", "latency_ms", "trouble"}
    assert process.returncode == 0
    assert not EmbeddedCluster(data).find()
