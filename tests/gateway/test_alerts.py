"""Alerts over HTTP: listed, followed live, acknowledged, subscribed to; commands arrive in the topic as records."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import httpx
import pytest

from riverrun.launch.session import Session
from riverrun.records.headers import Stamp
from riverrun.records.items import AlertCommand, Source
from riverrun.records.topics import Kind
from riverrun.subscriptions import subscription_of
from services.gateway.settings import GatewaySettings
from tests.gateway.world import DECLARED, NAME, GatewayWorld, RunningGateway, until

BASE = f"/v1/pipelines/{NAME}"


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
    world.raise_alert("first")
    world.raise_alert("first", "resolved")
    until(lambda: len(listed(world, "first")) == 2, "both are listed")
    one, two = listed(world, "first")
    assert (one["status"], two["status"], one["segment"]) == ("raised", "resolved", {"place": "x"})
    assert one["values"] == {"value": 0.7, "nothing": None}
    after = world.ask("GET", f"{BASE}/alerts?after={one['offset']}").document
    assert [alert["id"] for alert in after if alert["incident"] == "first"] == ["first-resolved"]
    assert len(world.ask("GET", f"{BASE}/alerts?limit=1").document) == 1


def test_all_alerts_can_be_reached_page_by_page(world: GatewayWorld) -> None:
    """Backwards by `before` and forwards by `after`, each alert that is kept comes once, however small the page."""
    names = [f"page-{number}" for number in range(7)]
    for name in names:
        world.raise_alert(name)
    until(lambda: len(listed(world, names[-1])) == 1, "the last is listed")
    everything = world.ask("GET", f"{BASE}/alerts?limit=1000").document
    assert [alert["incident"] for alert in everything][-7:] == names
    offsets = [alert["offset"] for alert in everything]
    backwards: list[int] = []
    place = f"before={2**62}"
    while page := world.ask("GET", f"{BASE}/alerts?limit=3&{place}").document:
        assert page[-1]["offset"] not in backwards
        backwards = [*(alert["offset"] for alert in page), *backwards]
        place = f"before={backwards[0]}"
    assert backwards == offsets
    forwards: list[int] = []
    place = "after=-1"
    while page := world.ask("GET", f"{BASE}/alerts?limit=3&{place}").document:
        assert page[0]["offset"] not in forwards
        forwards += [alert["offset"] for alert in page]
        place = f"after={forwards[-1]}"
    assert forwards == offsets
    between = world.ask("GET", f"{BASE}/alerts?after={offsets[-4]}&before={offsets[-1]}").document
    assert [alert["offset"] for alert in between] == offsets[-3:-1]


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
    world.raise_alert("live")
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
        world.raise_alert("live", "acknowledged")
        new = next(found)
        assert (new["event"], json.loads(new["data"])["id"]) == ("acknowledged", "live-acknowledged")
        assert time.monotonic() - begin < 30
        assert int(new["id"]) > int(old["id"])
    again = headers | {"Last-Event-ID": old["id"]}
    with httpx.stream("GET", url, headers=again, timeout=30, trust_env=False) as response:
        assert next(events(response.iter_lines())) == new


def test_an_alert_is_acknowledged(world: GatewayWorld) -> None:
    """The command names the incident, the key's owner and the note; an unknown alert is not found."""
    world.raise_alert("noted")
    until(lambda: len(listed(world, "noted")) == 1, "it is listed")
    reply = world.ask("POST", f"{BASE}/alerts/noted-raised/acknowledge", {"note": "on it"})
    assert reply.status == 202
    (command,) = [each for each in commands(world) if each.id == reply.document["command"]]
    found = command.action, command.alert, command.author, command.note
    assert found == ("acknowledge", "noted", "all", "on it")
    assert world.ask("POST", f"{BASE}/alerts/unknown/acknowledge", {}).status == 404


@pytest.mark.parametrize(
    ("told", "kind", "status"),
    [
        (["raised"], "quality", 202),
        (["raised", "escalated"], "quality", 202),
        (["raised", "resolved"], "quality", 409),
        (["raised", "resolved", "raised"], "quality", 202),
        (["digest"], "quality", 409),
        (["raised", "acknowledged"], "quality", 202),
        (["raised"], "drift", 202),
        (["raised", "acknowledged"], "drift", 409),
    ],
)
def test_only_what_is_open_is_acknowledged(world: GatewayWorld, told: list[str], kind: str, status: int) -> None:
    """What the alerts service would skip without a word is a conflict, by whichever of its names it is asked for."""
    name = f"{kind}_{'_'.join(told)}"
    for each in told:
        world.raise_alert(name, each, kind)
    until(lambda: len(listed(world, name)) == len(told), "all are listed")
    before = len(commands(world))
    for asked_for in (name, *(f"{name}-{each}" for each in told)):
        reply = world.ask("POST", f"{BASE}/alerts/{asked_for}/acknowledge", {})
        assert reply.status == status
        if status == 409:
            assert reply.document["type"] == "urn:riverrun:problem:conflict"
            assert ("digest" if told == ["digest"] else "over") in reply.document["detail"]
    assert len(commands(world)) - before == (0 if status == 409 else len(told) + 1)


def test_the_conflict_is_described(world: GatewayWorld) -> None:
    """Whoever reads of the operation reads when it is refused, and sees an example."""
    document = world.ask("GET", "/openapi.json").document
    operation = document["paths"]["/v1/pipelines/{pipeline}/alerts/{alert}/acknowledge"]["post"]
    assert "409" in operation["description"]
    assert operation["responses"]["409"] == {"$ref": "#/components/responses/CONFLICT"}
    (content,) = document["components"]["responses"]["CONFLICT"]["content"].values()
    assert any("is over" in each["value"]["detail"] for each in content["examples"].values())


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
    assert world.ask("PUT", f"{BASE}/subscriptions/passing", wanted).status == 202
    until(lambda: "passing" in names(), "it is listed")
    (found,) = [each for each in world.ask("GET", f"{BASE}/subscriptions").document if each["name"] == "passing"]
    assert found == wanted | {"name": "passing", "author": "all", "declared": False}
    (command,) = [each for each in commands(world) if each.subscription == "passing"]
    assert (command.action, command.segments, command.rules) == ("subscribe", ("place=x",), ("quality",))
    assert world.ask("DELETE", f"{BASE}/subscriptions/passing").status == 202
    until(lambda: "passing" not in names(), "it is gone")
    assert world.ask("DELETE", f"{BASE}/subscriptions/passing").status == 404


def test_what_the_pipeline_file_declares_is_listed_and_stays(world: GatewayWorld) -> None:
    """Its routes stand among the subscriptions, marked, whatever a command says; to change or end one is a conflict.

    A password in the address is not told.
    """

    def declared() -> list[dict[str, object]]:
        found = world.ask("GET", f"{BASE}/subscriptions").document
        assert [each["name"] for each in found] == sorted(each["name"] for each in found)
        return [each for each in found if each["declared"] or each["name"] == DECLARED["name"]]

    rest = {"min_severity": "info", "segments": [], "rules": [], "author": "", "declared": True}
    assert declared() == [DECLARED | rest]
    forged = AlertCommand("forged", "subscribe", 1, "stranger", subscription=DECLARED["name"])
    forged.channel, forged.secret = "apprise", "OTHER"
    codecs, topic = world.deployment.wire.codecs, world.deployment.topology.names[Kind.ALERT_COMMANDS]
    world.publish_raw(topic, b"forged", codecs.encode(forged))
    assert world.ask("PUT", f"{BASE}/subscriptions/marker", {"channel": "apprise", "secret": "A"}).status == 202
    until(lambda: "marker" in json.dumps(world.ask("GET", f"{BASE}/subscriptions").document), "all is read")
    assert declared() == [DECLARED | rest]
    for method, body in (("DELETE", None), ("PUT", {"channel": "apprise", "secret": "A"})):
        reply = world.ask(method, f"{BASE}/subscriptions/{DECLARED['name']}", body)
        assert (reply.status, reply.document["type"]) == (409, "urn:riverrun:problem:conflict")
        assert "pipeline file" in reply.document["detail"]
    assert [each.id for each in commands(world) if each.subscription == DECLARED["name"]] == ["forged"]


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
        {
            "channel": "webhook",
            "url": "https://hooks.example.com:10443/a?b=c#d",
            "secret": "A_1",
            "segments": ["a=b=c"],
        },
        {"channel": "apprise", "secret": "MAIL", "url": "mailto://ignored", "min_severity": "critical", "rules": ["r"]},
    )
    for number, body in enumerate(bodies):
        assert world.ask("PUT", f"{BASE}/subscriptions/sound-{number}", body).status == 202
    made = [each for each in commands(world) if each.subscription.startswith("sound-")]
    assert [subscription_of(each).name for each in made] == ["sound-0", "sound-1"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://hooks.example.com/", "not https"),
        ("http://127.0.0.1/", "not https"),
        ("https://127.0.0.1/", "not a public address"),
        ("https://10.0.0.7:8443/hook", "not a public address"),
        ("https://169.254.169.254/latest/meta-data/", "not a public address"),
        ("https://hooks.example.com:0/", "pattern"),
        ("https://hooks.example.com:65536/", "pattern"),
        ("https://hooks.example.com:100000/", "pattern"),
    ],
)
def test_a_webhook_that_nothing_would_ever_reach_is_refused(world: GatewayWorld, url: str, words: str) -> None:
    """What delivery refuses at each attempt is refused at once, with the reason, as far as no name is looked up."""
    body = {"channel": "webhook", "url": url, "secret": "HOOK"}
    reply = world.ask("PUT", f"{BASE}/subscriptions/nowhere", body)
    assert reply.status == 422
    (fault,) = reply.document["errors"]
    assert fault["where"] == "body/webhook/url"
    assert words in fault["what"]
    assert words in reply.document["detail"]


@pytest.mark.parametrize(
    "url",
    ["https://hooks.example.com:1/", "https://hooks.example.com:65535", "https://8.8.8.8/", "https://no-such.invalid/"],
)
def test_a_webhook_that_may_be_reached_is_taken(world: GatewayWorld, url: str) -> None:
    """Any port will do, and a name is not looked up: that is for each attempt."""
    assert (
        world.ask("PUT", f"{BASE}/subscriptions/found", {"channel": "webhook", "url": url, "secret": "H"}).status == 202
    )


def test_the_operator_may_allow_a_host(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the gateway is given the same setting as the alerts service, it takes what that delivers to."""
    monkeypatch.setenv("RIVERRUN_WEBHOOK_ALLOW", "127.0.0.1:9000,hooks.lan")
    gateway = RunningGateway(Session(world.deployment, world.addresses), world.settings, GatewaySettings(port=0))
    try:
        with httpx.Client(headers={"Authorization": f"Bearer {world.key}"}, trust_env=False, timeout=30) as client:
            for url, status in (
                ("http://127.0.0.1:9000/", 202),
                ("http://hooks.lan/a", 202),
                ("http://127.0.0.1:9001/", 422),
            ):
                body = {"channel": "webhook", "url": url, "secret": "HOOK"}
                answer = client.put(f"{gateway.url}{BASE}/subscriptions/allowed", json=body)
                assert answer.status_code == status, url
            document = client.get(f"{gateway.url}/openapi.json").json()
    finally:
        gateway.close()
    pattern = document["components"]["schemas"]["NewWebhook"]["properties"]["url"]["pattern"]
    assert re.search(pattern, "http://127.0.0.1:9000/")
    usual = world.ask("GET", "/openapi.json").document["components"]["schemas"]["NewWebhook"]["properties"]["url"]
    assert not re.search(usual["pattern"], "http://127.0.0.1:9000/")
    assert re.search(usual["pattern"], "https://hooks.example.com:10443/")
