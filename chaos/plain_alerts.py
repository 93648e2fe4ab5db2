"""Alerts, judged by the simplest means (I10): what was due, what the topic holds, and what was delivered.

The pipeline's one rule tells whenever ``ingest`` has dropped duplicates. So each commit record of ``ingest`` whose
counter stands higher than in the one before is due an alert, and no other is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from chaos.findings import Finding, Sort
from chaos.reading import read_partition
from chaos.receiver import Delivery
from chaos.world import World
from riverrun.records.items import Alert, Progress
from riverrun.records.topics import Kind

__all__ = ["SUBSCRIPTION", "Told", "due", "due_in", "judge_alerts", "told"]

SUBSCRIPTION: Final = "judge"
_STAGE: Final = "ingest"
_COUNTER: Final = "duplicates"


class Told(NamedTuple):
    """An alert of the topic, and when it was written, in milliseconds since the epoch."""

    alert: Alert
    at_ms: int


def due(commits: Iterable[tuple[int, Progress]]) -> list[int]:
    """Return the offsets of the commit records that are due an alert, of all that one partition holds."""
    found, before = [], 0
    for offset, progress in commits:
        if progress.stage == _STAGE:
            count = progress.counters.get(_COUNTER, 0)
            if count > before:
                found.append(offset)
            before = count
    return found


def due_in(world: World) -> list[int]:
    """Return what is due in a world of one partition, at rest."""
    topic = world.deployment.topology.names[Kind.PROGRESS]
    records = read_partition(world.addresses.kafka, topic, 0)
    return due((record.offset, world.deployment.wire.progress(record)) for record in records)


def told(world: World) -> list[Told]:
    """Read the alerts topic."""
    deployment = world.deployment
    records = read_partition(world.addresses.kafka, deployment.topology.names[Kind.ALERTS], 0)
    items = ((deployment.wire.item(record), record.timestamp) for record in records)
    return [Told(item, made) for item, made in items if isinstance(item, Alert)]


def judge_alerts(expected: Sequence[int], alerts: Sequence[Told], taken: Sequence[Delivery]) -> Iterator[Finding]:
    """Yield what is wrong with the alerts and their delivery.

    Parameters
    ----------
    expected
        Offsets of the commit records that are due one.
    alerts
        The topic.
    taken
        What the one subscriber got, whom all alerts since its subscription are for.
    """
    yield from _judge_topic(expected, alerts)
    yield from _judge_delivery(alerts, taken)


def _judge_topic(expected: Sequence[int], alerts: Sequence[Told]) -> Iterator[Finding]:
    sources = Counter(each.alert.source.position for each in alerts)
    for offset in expected:
        if not sources[offset]:
            yield Finding(Sort.LOST, f"no alert of the commit record at {offset}")
    wanted = set(expected)
    before = -1
    for number, (alert, made) in enumerate(alerts):
        position = alert.source.position
        if position not in wanted:
            yield Finding(Sort.WRONG, f"alert {alert.id} of a record that is due none, at {position}", made)
        if position == before:
            yield Finding(Sort.DOUBLED, f"another alert of the commit record at {position}: {alert.id}", made)
        if position < before:
            yield Finding(Sort.REORDERED, f"alert {alert.id} of {position} comes after that of {before}", made)
        if alert.seq != number:
            yield Finding(Sort.WRONG, f"alert {alert.id} has number {alert.seq}, and is the {number}th", made)
        before = position
    for identity, count in Counter(each.alert.id for each in alerts).items():
        if count > 1:
            yield Finding(Sort.DOUBLED, f"{count} alerts have the key {identity}")


def _judge_delivery(alerts: Sequence[Told], taken: Sequence[Delivery]) -> Iterator[Finding]:
    first = next(
        (number for number, each in enumerate(alerts) if SUBSCRIPTION in each.alert.subscriptions), len(alerts)
    )
    meant = [each.alert.id for each in alerts[first:]]
    for each in alerts[first:]:
        if SUBSCRIPTION not in each.alert.subscriptions:
            yield Finding(Sort.LOST, f"the subscription was forgotten when {each.alert.id} was told", each.at_ms)
    known = set(meant)
    for delivery in taken:
        if delivery.key != delivery.alert:
            text = f"alert {delivery.alert} came with the idempotency key {delivery.key}"
            yield Finding(Sort.WRONG, text, delivery.at_ms)
        if delivery.alert not in known:
            yield Finding(Sort.WRONG, f"{delivery.alert} was delivered, and is no alert", delivery.at_ms)
    got = list(dict.fromkeys(delivery.alert for delivery in taken))
    lost = [identity for identity in meant if identity not in set(got)]
    for identity in lost:
        yield Finding(Sort.LOST, f"alert {identity} was not delivered")
    if not lost and known == set(got) and got != meant:
        yield Finding(Sort.REORDERED, "alerts were delivered in another order than that of the topic")
