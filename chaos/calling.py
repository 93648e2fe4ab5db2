"""Ends the calls to the gateway of a scene, and judges them: what was accepted is in Kafka, as it was sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from chaos.caller import STREAM, Caller, Sent
from chaos.findings import Finding, Sort
from chaos.messages import Messages
from chaos.reading import read_partition
from chaos.scene import Scene
from chaos.world import KIND_HEADER
from riverrun.runtime.ports import Record

__all__ = ["calls_kept", "judge_calls"]


def calls_kept(scene: Scene, caller: Caller) -> list[Finding]:
    """Return what is wrong with what was published through the gateway; ends both.

    Afterwards the world knows how many messages there are: of the last request the caller need not.
    """
    world = scene.world
    caller.stop()
    gateway = scene.services["gateway"]
    scene.carry_out(scene.drain(gateway))
    world.services.remove(gateway)
    world.flush()
    topic = f"{world.plan.name}-raw.{STREAM}"
    records = read_partition(world.addresses.kafka, topic, 0)
    called = [record for record in records if KIND_HEADER not in dict(record.headers)]
    world.beside = lambda: len(called)
    findings = [*judge_calls(caller.events, called, Messages(world.deployment.ids)), *caller.findings]
    if not caller.accepted:
        findings.append(Finding(Sort.WRONG, "the gateway accepted nothing: there is nothing to judge"))
    return findings


def judge_calls(sent: Mapping[str, Sent], records: Sequence[Record], read: Messages) -> Iterator[Finding]:
    """Yield what is wrong with the records that a gateway made of what it was sent.

    Parameters
    ----------
    sent
        The events, by id.
    records
        What Kafka has of the gateway.
    read
        Reads them.
    """
    copies: Counter[str] = Counter()
    places = set()
    for record in records:
        fields = read.fields(record.value)
        name = str(fields.get("event_id"))
        each = sent.get(name)
        if each is None:
            yield Finding(Sort.WRONG, f"nobody sent {name} to the gateway, and Kafka has it", record.timestamp)
            continue
        copies[name] += 1
        places.add((name, (record.topic, record.partition, record.offset)))
        if fields != each.event or record.key != str(each.event["parcel_id"]).encode():
            text = f"the gateway made {fields} with the key {record.key!r} of {each.event}"
            yield Finding(Sort.WRONG, text, record.timestamp, name)
    for name, each in sent.items():
        if copies[name] > each.times:
            text = f"{name} was sent {each.times} times, Kafka has it {copies[name]} times"
            yield Finding(Sort.DOUBLED, text, None, name)
        if each.place is not None and (name, each.place) not in places:
            yield Finding(Sort.LOST, f"the gateway accepted {name} at {each.place}, and it is not there", None, name)
