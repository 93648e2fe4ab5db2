"""What follows from a request is traced with it: its trace context goes into the records that it becomes."""

from __future__ import annotations

import pytest

from tests.gateway.world import NAME, GatewayWorld

CONTEXT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
EVENT = {"who": "w-traced", "place": "x", "at": 1_700_000_000_000, "size": 1.0}


@pytest.mark.parametrize("path", ["/v1/streams/asked", f"/v1/pipelines/{NAME}/predict"])
def test_records_carry_the_callers_context(world: GatewayWorld, path: str) -> None:
    """Published or predicted on, with what else the record's headers hold; what is no context is passed over."""
    topic = f"{NAME}-raw.asked"
    for context, carried in ((CONTEXT, [CONTEXT.encode()]), ("00-zz-zz-01", []), ("", [])):
        before = len(world.records(topic))
        assert world.ask("POST", path, [EVENT, EVENT], traceparent=context).status in (200, 202)
        new = sorted(world.records(topic), key=lambda each: each.timestamp)[before:]
        assert [[value for name, value in each.headers if name == "traceparent"] for each in new] == [carried, carried]
