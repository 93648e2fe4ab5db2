"""From the alerts topic to receivers: signed, in order, after any outage, and as subscriptions change."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from riverrun.adapters.kafka_bookmark import KafkaBookmark
from riverrun.adapters.kafka_log import KafkaLog
from riverrun.delivery.apprise_channel import AppriseChannel
from riverrun.delivery.courier import Pace
from riverrun.delivery.messages import Channel
from riverrun.delivery.signing import Signer
from riverrun.embedded import ClientProperties
from riverrun.errors import SettingsError
from riverrun.records.items import Alert, Source
from riverrun.runtime import metrics
from riverrun.runtime.meter import Meter
from riverrun.runtime.ports import TopicSpec
from riverrun.subscriptions import Subscription
from riverrun.testing.memory_log import MemoryLog
from services.alerts.alert_log import AlertLog
from services.alerts.bulletin import message_of
from services.alerts.channels import channel_of
from services.alerts.outbox import Outbox, OutboxPorts, bookmark_group
from tests.alerts.made import NAME, START, pipeline_of, wire_of
from tests.delivery.receiver import Receiver, running
from tests.delivery.test_signing import SECRET

TOPIC = f"{NAME}.alerts"


def alert(number: int, *subscriptions: str) -> Alert:
    """Return an alert for these subscriptions."""
    return Alert(
        id=f"a-{number}",
        incident=f"a-{number}",
        status="raised",
        rule="q",
        kind="quality",
        severity="warning",
        subject="line",
        time=START,
        title=f"number {number}",
        source=Source(f"{NAME}.evaluations", 0, number),
        text="It is low.",
        segment={"carrier": "UA"},
        values={"value": 0.5},
        suppressed=2,
        subscriptions=subscriptions,
    )


class Notes:
    """Bookmarks that survive an outbox."""

    def __init__(self) -> None:
        self.offsets: dict[str, int] = {}

    def open(self, group: str) -> Notes.One:
        """Open a group's."""
        return Notes.One(self, group)

    class One:
        """One group's bookmark."""

        def __init__(self, notes: Notes, group: str) -> None:
            self._notes, self._group = notes, group

        def load(self) -> int:
            """Return the offset."""
            return self._notes.offsets.get(self._group, 0)

        def save(self, offset: int) -> None:
            """Keep the offset."""
            self._notes.offsets[self._group] = offset

        def close(self) -> None:
            """Do nothing."""


class World:
    """An alerts topic in memory, and an outbox that delivers it to this machine."""

    def __init__(self) -> None:
        self.log, self.notes, self.meter = MemoryLog(), Notes(), Meter()
        self.log.ensure_topics([TopicSpec(TOPIC, 1)])
        self.wire = wire_of(pipeline_of())
        self._alerts = AlertLog(self.log, self.wire, (TOPIC, "alerts"), lambda seconds: True, meter=self.meter)
        self._alerts.open()

    def tell(self, *alerts: Alert) -> None:
        """Write alerts to the topic."""
        self._alerts.write(alerts)

    @contextmanager
    def outbox(self, port: int, wrong: Callable[[], None] = lambda: None) -> Iterator[Outbox]:
        """Run an outbox whose webhooks may go to this port; ``wrong`` is called whenever it begins to deliver."""

        def channel(subscription: Subscription) -> Channel:
            wrong()
            return channel_of(subscription, settings)

        settings = {"RIVERRUN_CHANNEL_HOOK": SECRET, "RIVERRUN_WEBHOOK_ALLOW": f"127.0.0.1:{port}"}
        ports = OutboxPorts(
            log=self.log,
            wire=self.wire,
            topic=TOPIC,
            pipeline=NAME,
            bookmark=self.notes.open,
            channel=channel,
            meter=self.meter,
            # The log in memory does not wait for records: who asks it again and again must wait by himself.
            pace=lambda wait: Pace(lambda seconds: wait(min(max(seconds, 0.01), 0.05))),
        )
        outbox = Outbox(ports)
        try:
            yield outbox
        finally:
            outbox.stop()


def hook(port: int, name: str = "ops") -> Subscription:
    """Return a subscription that is delivered to this machine."""
    return Subscription(name, "webhook", f"http://127.0.0.1:{port}/{name}", "HOOK")


def until(condition: Callable[[], bool]) -> None:
    """Wait for another thread."""
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        threading.Event().wait(0.01)


def ids(receiver: Receiver) -> list[str]:
    """Return the ids received, in order."""
    return [headers["webhook-id"] for _, headers, _ in receiver.requests]


def test_a_receiver_that_was_down_gets_everything_in_order() -> None:
    """Down, failing, and up again: all that is for it, in the order of the topic, each verified by its signature."""
    world = World()
    with running() as other:
        port = other.port
    with world.outbox(port) as outbox:
        outbox.refresh([hook(port)])
        world.tell(*(alert(number, *(["ops"] if number % 3 else ["else"])) for number in range(9)))
        with running(port=port, statuses=[500, 503]) as receiver:
            until(lambda: len(receiver.requests) == 8)
    assert ids(receiver) == ["a-1"] * 3 + ["a-2", "a-4", "a-5", "a-7", "a-8"]
    assert world.meter.counter(metrics.ALERTS, "raised").value == 9
    assert world.meter.counter(metrics.DELIVERIES, "ops", "delivered").value == 6
    assert world.meter.counter(metrics.DELIVERIES, "ops", "failed").value >= 2
    for _, headers, body in receiver.requests:
        assert Signer.of(SECRET).verify(headers, body, int(time.time())) == json.loads(body)["data"]["id"]


def test_another_outbox_goes_on_where_the_first_one_ended() -> None:
    """What was delivered is not delivered again after an orderly stop; what came meanwhile is."""
    world = World()
    with running() as receiver:
        world.tell(alert(0, "ops"))
        with world.outbox(receiver.port) as outbox:
            outbox.refresh([hook(receiver.port)])
            until(lambda: world.notes.offsets.get(bookmark_group(NAME, "ops"), 0) > 0)
        world.tell(alert(1, "ops"))
        with world.outbox(receiver.port) as outbox:
            outbox.refresh([hook(receiver.port)])
            until(lambda: len(receiver.requests) == 2)
    assert ids(receiver) == ["a-0", "a-1"]


def test_subscriptions_come_change_and_go() -> None:
    """A new one is served, a changed one at its new address from where it was, one that is gone no more."""
    world = World()
    with running() as one, running() as two:
        with world.outbox(one.port) as outbox:
            outbox.refresh([hook(one.port)])
            world.tell(alert(0, "ops"))
            until(lambda: len(one.requests) == 1)
            moved = replace(hook(one.port), url=f"http://127.0.0.1:{one.port}/new")
            outbox.refresh([moved])
            world.tell(alert(1, "ops"))
            until(lambda: len(one.requests) == 2)
            outbox.refresh([])
            world.tell(alert(2, "ops"))
        assert two.requests == []
    assert [path for path, _, _ in one.requests] == ["/ops", "/new"]


def test_one_that_fails_does_not_hold_up_another() -> None:
    """Each has its own pace and place; a subscription without a secret fails by itself."""
    world = World()
    with running(statuses=[500] * 1_000) as receiver, world.outbox(receiver.port) as outbox:
        bad, unset = hook(receiver.port, "bad"), replace(hook(receiver.port, "unset"), secret="NOWHERE")
        outbox.refresh([bad, unset])
        world.tell(alert(0, "bad", "unset", "good"))
        until(lambda: len(receiver.requests) > 2)
        receiver.statuses.clear()
        outbox.refresh([bad, unset, hook(receiver.port, "good")])
        until(lambda: "/good" in [path for path, _, _ in receiver.requests])
    assert "/unset" not in [path for path, _, _ in receiver.requests]


def test_an_error_of_ours_does_not_end_deliveries(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is raised is told in the log, with where it comes from; then it begins again."""
    errors = [KeyError("nobody thought of that")]

    def wrong() -> None:
        if errors:
            raise errors.pop()

    world = World()
    with running() as receiver, world.outbox(receiver.port, wrong) as outbox:
        outbox.refresh([hook(receiver.port)])
        world.tell(alert(0, "ops"))
        until(lambda: len(receiver.requests) == 1)
    (told,) = [each for each in caplog.records if each.exc_info]
    assert "ops" in told.getMessage()
    assert "nobody thought of that" in caplog.text


def test_a_gone_receiver_is_left_alone() -> None:
    """410: nothing more is sent there."""
    world = World()
    with running(statuses=[410]) as receiver, world.outbox(receiver.port) as outbox:
        outbox.refresh([hook(receiver.port)])
        world.tell(alert(0, "ops"), alert(1, "ops"))
        until(lambda: len(receiver.requests) == 1)
        until(lambda: "riverrun-alerts-to-ops" not in [each.name for each in threading.enumerate()])
    assert ids(receiver) == ["a-0"]


def test_secrets_come_from_a_setting_or_a_file(tmp_path: Path) -> None:
    """And nothing is told of them when they are missing or malformed."""
    subscription = hook(1)
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n", encoding="utf-8")
    by_value = channel_of(subscription, {"RIVERRUN_CHANNEL_HOOK": SECRET})
    by_file = channel_of(subscription, {"RIVERRUN_CHANNEL_HOOK_FILE": str(file)})
    assert repr(by_value) != ""
    assert SECRET not in repr(by_value) + repr(by_file)
    for settings in ({}, {"RIVERRUN_CHANNEL_HOOK": "sesame"}, {"RIVERRUN_CHANNEL_HOOK_FILE": str(tmp_path / "none")}):
        with pytest.raises(SettingsError) as error:
            channel_of(subscription, settings)
        assert "sesame" not in str(error.value)


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_apprise_is_a_channel_too() -> None:
    """Its URL is the secret."""
    subscription = Subscription("mail", "apprise", "", "MAIL")
    assert isinstance(channel_of(subscription, {"RIVERRUN_CHANNEL_MAIL": "json://127.0.0.1/"}), AppriseChannel)


def test_a_message_says_what_and_where_for_people_and_programs() -> None:
    """Title with pipeline and segment, text with severity, rule and time; the document has everything."""
    message = message_of(alert(7), "shop")
    assert (message.id, message.title) == ("a-7", "shop: number 7 [carrier=UA]")
    assert message.text.splitlines() == [
        "It is low.",
        "Noticed 2 more times since it was last told.",
        "warning, rule q, 2023-11-14T22:13:20.000Z",
    ]
    document = json.loads(message.body)
    assert (document["type"], document["timestamp"]) == ("alert.raised", "2023-11-14T22:13:20.000Z")
    assert document["data"]["source"] == {"topic": f"{NAME}.evaluations", "partition": 0, "position": 7}
    assert document["data"]["values"] == {"value": 0.5}


def test_a_bookmark_is_the_offset_of_a_group(kafka: ClientProperties) -> None:
    """0 before the first, kept for the next object, and each group its own."""
    properties = dict(kafka)
    log = KafkaLog(properties)
    log.ensure_topics([TopicSpec("bookmarked", 1)])
    log.close()
    first = KafkaBookmark(properties, "readers.of.bookmarks", "bookmarked", 0)
    assert first.load() == 0
    first.save(7)
    first.close()
    again, other = (KafkaBookmark(properties, group, "bookmarked", 0) for group in ("readers.of.bookmarks", "others"))
    assert (again.load(), other.load()) == (7, 0)
    again.save(9)
    assert again.load() == 9
    again.close()
    other.close()
