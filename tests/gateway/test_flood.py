"""There are so many subscriptions and no more: each costs the alerts service a thread."""

from __future__ import annotations

from riverrun.subscriptions import MOST_SUBSCRIPTIONS
from tests.gateway.world import NAME, GatewayWorld, until

BASE = f"/v1/pipelines/{NAME}/subscriptions"
BODY = {"channel": "apprise", "secret": "FLOOD"}


def made(world: GatewayWorld) -> set[str]:
    """Return the names of the subscriptions that requests made."""
    return {each["name"] for each in world.ask("GET", BASE).document if not each["declared"]}


def test_there_are_so_many_subscriptions_and_no_more(world: GatewayWorld) -> None:
    """When there are a hundred, one may be changed, or ended for another; a further one is a conflict."""
    before = made(world)
    names = [f"flood-{number}" for number in range(MOST_SUBSCRIPTIONS - len(before))]
    for name in names:
        assert world.ask("PUT", f"{BASE}/{name}", BODY).status == 202
    until(lambda: len(made(world)) == MOST_SUBSCRIPTIONS, "all are known")
    refused = world.ask("PUT", f"{BASE}/flood-too-many", BODY)
    assert (refused.status, refused.document["type"]) == (409, "urn:riverrun:problem:conflict")
    assert world.ask("PUT", f"{BASE}/{names[0]}", BODY | {"min_severity": "critical"}).status == 202
    assert world.ask("DELETE", f"{BASE}/{names[1]}").status == 202
    until(lambda: names[1] not in made(world), "one has ended")
    assert world.ask("PUT", f"{BASE}/flood-too-many", BODY).status == 202
    until(lambda: "flood-too-many" in made(world), "there was room")
    for name in made(world) - before:
        assert world.ask("DELETE", f"{BASE}/{name}").status == 202
    until(lambda: made(world) == before, "all is as it was")
