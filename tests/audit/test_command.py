"""``riverrun verify`` on real servers: what it prints and how it exits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import redis
import typer
from typer.testing import CliRunner, Result

from riverrun.cli.output import Exit
from riverrun.cli.verify import verify
from riverrun.embedded import EmbeddedCluster
from tests.audit.worlds import World

KEY = "riverrun:{shop:0}:g:city"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write the shop's pipeline file."""
    path = tmp_path / "shop_pipeline.py"
    path.write_text("from tests.audit.shop import make_pipeline\n\npipeline = make_pipeline('shop')\n")
    return path


def _run(cluster: EmbeddedCluster, file: Path, *options: str) -> Result:
    app = typer.Typer()
    app.command()(verify)
    environment = {**cluster.addresses.as_environment(), "RIVERRUN_DATA": str(file.parent / "data")}
    return CliRunner().invoke(app, [str(file), *options], env=environment)


def test_verify_tells_a_sound_run_from_a_broken_one(shop: World, cluster: EmbeddedCluster, file: Path) -> None:
    """It exits with 0 and says what was compared; with one byte of Redis changed, it exits with 1 and names that."""
    result = _run(cluster, file, "--json", "--jobs", "2")
    document: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == Exit.OK, document
    assert document["verified"] is True
    assert len(document["checks"]) == len(shop.audit())

    client = redis.Redis.from_url(cluster.addresses.redis_url)
    good = shop.partials.groups[0, "city"]["Bonn"]
    try:
        client.hset(KEY, "Bonn", good[:-8] + bytes([good[-8] ^ 1]) + good[-7:])
        result = _run(cluster, file, "--jobs", "1")
    finally:
        client.hset(KEY, "Bonn", good)
        client.close()
    assert result.exit_code == Exit.FAILED
    assert "broken: Redis holds what the events amount to: first redis riverrun:{shop:0}:g:city 'Bonn'" in result.stdout
