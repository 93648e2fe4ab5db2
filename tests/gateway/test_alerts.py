"""Alerts over HTTP: listed, followed live, acknowledged, subscribed to; commands arrive in the topic as records."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from riverrun.adapters.kafka_log import kafka_producer
from riverrun.records.headers import Stamp
from riverrun.records.items import Alert, AlertCommand, Source
from riverrun.records.topics import Kind
from riverrun.subscriptions import subscription_of
from tests.gateway.world import NAME, GatewayWorld, until

BASE = f"/v1/pipelines/{NAME}"


def raise_alert(world: GatewayWorld, name: str, status: str = "raised") -> None:
    """Write an alert, as the alerts service does."""
    alert = Alert(
        id=f"{name}-{status}",
        incident=name,
        status=status,
        rule="quality",
        kind="quality",
        severity="warning",
        subject="line",
        time=1_700_000_000_000,
        title="It got worse",
        source=Source("t", 0, 1),
        segment={"place": "x"},
        values={"value": 0.7, "nothing": float("nan")},
    )
    producer = kafka_producer(dict(world.addresses.kafka))
    topic = world.deployment.topology.names[Kind.ALERTS]
    producer.produce(topic, world.deployment.wire.codecs.encode(alert), name.encode(), 0)
    assert producer.flush(30) == 0


def listed(world: GatewayWorld, name: str) -> list[dict[str, object]]:
    """Return the alerts of an incident, as they are listed."""
    found = world.ask("GET", f"{BASE}/alerts?limit=1000").document
    return [alert for alert in found if alert["incident"] == name]


def commands(world: GatewayWorld) -> list[AlertCommand]:
    """Return all commands in the topic."""
    codecs = world.deployment.wire.codecs
    found = []
    for record in world.records(world.deployment.topology.names[Kind.ALERT_COMMANDS]):
        assert record.value is not None
        item = codecs.decode(record.value, Stamp(0, 0, Source(record.topic, 0, record.offset)))
        assert isinstance(item, AlertCommand)
        assert record.key == item.id.encode()
        found.append(item)
    return found


def test_alerts_are_listed(world: GatewayWorld) -> None:
    """What the alerts service wrote is listed, oldest first; `after` and `limit` cut the list."""
    raise_alert(world, "first")
    raise_alert(world, "first", "resolved")
    until(lambda: len(listed(world, "first")) == 2, "both are listed")
    one, two = listed(world, "first")
    assert (one["status"], two["status"], one["segment"]) == ("raised", "resolved", {"place": "x"})
    assert one["values"] == {"value": 0.7, "nothing": None}
    after = world.ask("GET", f"{BASE}/alerts?after={one['offset']}").document
    assert [alert["id"] for alert in after if alert["incident"] == "first"] == ["first-resolved"]
    assert len(world.ask("GET", f"{BASE}/alerts?limit=1").document) == 1


def events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Parse server-sent events."""
    event: dict[str, str] = {}
    for line in lines:
        if not line and event:
            yield event
            event = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def test_alerts_are_followed_live(world: GatewayWorld) -> None:
    """A listener gets old alerts from where it says, then each new one as it comes; it can go on where it was."""
    raise_alert(world, "live")
    until(lambda: len(listed(world, "live")) == 1, "the first is listed")
    headers = {"Authorization": f"Bearer {world.key}"}
    start = int(str(listed(world, "live")[0]["offset"])) - 1
    url = f"{world.gateway.url}{BASE}/alerts/live"
    with httpx.stream("GET", url, params={"after": start}, headers=headers, timeout=30, trust_env=False) as response:
        assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        found = events(response.iter_lines())
        old = next(found)
        assert json.loads(old["data"])["id"] == "live-raised"
        begin = time.monotonic()
        raise_alert(world, "live", "acknowledged")
        new = next(found)
        assert (new["event"], json.loads(new["data"])["id"]) == ("acknowledged", "live-acknowledged")
        assert time.monotonic() - begin < 30
        assert int(new["id"]) > int(old["id"])
    again = headers | {"Last-Event-ID": old["id"]}
    with httpx.stream("GET", url, headers=again, timeout=30, trust_env=False) as response:
        assert next(events(response.iter_lines())) == new


def test_an_alert_is_acknowledged(world: GatewayWorld) -> None:
    """The command names the incident, the key's owner and the note; an unknown alert is not found."""
    raise_alert(world, "noted")
    until(lambda: len(listed(world, "noted")) == 1, "it is listed")
    reply = world.ask("POST", f"{BASE}/alerts/noted-raised/acknowledge", {"note": "on it"})
    assert reply.status == 202
    (command,) = [each for each in commands(world) if each.id == reply.document["command"]]
    found = command.action, command.alert, command.author, command.note
    assert found == ("acknowledge", "noted-raised", "all", "on it")
    assert world.ask("POST", f"{BASE}/alerts/unknown/acknowledge", {}).status == 404


def test_subscriptions_come_and_go(world: GatewayWorld) -> None:
    """A subscription is a command, is listed once it is in the topic, is replaced by its name, and ends."""

    def names() -> list[str]:
        return [each["name"] for each in world.ask("GET", f"{BASE}/subscriptions").document]

    wanted = {
        "channel": "webhook",
        "url": "https://example.com/h",
        "secret": "HOOK",
        "min_severity": "warning",
        "segments": ["place=x"],
        "rules": ["quality"],
    }
    assert world.ask("PUT", f"{BASE}/subscriptions/on-call", wanted).status == 202
    until(lambda: "on-call" in names(), "it is listed")
    (found,) = [each for each in world.ask("GET", f"{BASE}/subscriptions").document if each["name"] == "on-call"]
    assert found == wanted | {"name": "on-call", "author": "all"}
    (command,) = [each for each in commands(world) if each.subscription == "on-call"]
    assert (command.action, command.segments, command.rules) == ("subscribe", ("place=x",), ("quality",))
    assert world.ask("DELETE", f"{BASE}/subscriptions/on-call").status == 202
    until(lambda: "on-call" not in names(), "it is gone")
    assert world.ask("DELETE", f"{BASE}/subscriptions/on-call").status == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"channel": "pigeon"},
        {"url": "javascript:alert(1)"},
        {"url": "https://user:password@example.com/"},
        {"url": ""},
        {"secret": "whsec_not a name"},
        {"secret": ""},
        {"segments": ["no equals sign"]},
        {"min_severity": "panic"},
    ],
)
def test_a_bad_subscription_is_refused(world: GatewayWorld, wrong: dict[str, object]) -> None:
    """What no subscription can be is a problem that says where."""
    good = {"channel": "webhook", "url": "https://example.com/hook", "secret": "HOOK"}
    reply = world.ask("PUT", f"{BASE}/subscriptions/bad", good | wrong)
    assert reply.status == 422
    assert reply.document["errors"][0]["where"].startswith("body")
    assert world.ask("PUT", f"{BASE}/subscriptions/b.a:d", good).status == 422


def test_whatever_the_gateway_accepts_the_alerts_service_carries_out(world: GatewayWorld) -> None:
    """Nobody is told that a subscription was taken which is then skipped."""
    bodies = (
        {"channel": "webhook", "url": "http://hooks.example.com:8080/a?b=c#d", "secret": "A_1", "segments": ["a=b=c"]},
        {"channel": "apprise", "secret": "MAIL", "url": "mailto://ignored", "min_severity": "critical", "rules": ["r"]},
    )
    for number, body in enumerate(bodies):
        assert world.ask("PUT", f"{BASE}/subscriptions/sound-{number}", body).status == 202
    made = [each for each in commands(world) if each.subscription.startswith("sound-")]
    assert [subscription_of(each).name for each in made] == ["sound-0", "sound-1"]
