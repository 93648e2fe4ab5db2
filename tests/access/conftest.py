"""One pair of guarded servers for all tests of rights."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.access.castle import Castle


@pytest.fixture(scope="session")
def castle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Castle]:
    """The servers run, accounts are made, events are published; no service has run yet."""
    made = Castle(tmp_path_factory.mktemp("castle"))
    (made.folder / "key").write_bytes(Ed25519PrivateKey.generate().private_bytes_raw())
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def folded(castle: Castle) -> Castle:
    """The operator has prepared the pipeline, and every service has folded all that is there, each as its own user."""
    prepared = castle.command("operator", "status", castle.file, "--interval", "0", "--json")
    assert prepared.code == 0, prepared.err
    for service in ("ingest", "features", "score", "labels", "drift", "learn"):
        assert castle.work(service) > 0, f"{service} folded nothing"
    return castle
