"""Ends the calls to the gateway of a scene, and judges them: what was accepted is in Kafka."""

from __future__ import annotations

from chaos.caller import STREAM, Caller
from chaos.findings import Finding, Sort
from chaos.messages import Messages
from chaos.reading import read_partition
from chaos.scene import Scene
from chaos.world import KIND_HEADER

__all__ = ["calls_kept"]


def calls_kept(scene: Scene, caller: Caller) -> list[Finding]:
    """Return what is wrong with what was published through the gateway; ends both.

    Afterwards the world knows how many messages there are: of the last request the caller need not.
    """
    world = scene.world
    caller.stop()
    gateway = scene.services["gateway"]
    scene.drain(gateway)
    world.services.remove(gateway)
    world.flush()
    topic = f"{world.plan.name}-raw.{STREAM}"
    records, _ = read_partition(world.addresses.kafka, topic, 0)
    called = [record for record in records if KIND_HEADER not in dict(record.headers)]
    world.beside = lambda: len(called)
    read = Messages(world.deployment.ids)
    there = {read.fields(record.value)["event_id"] for record in called}
    due = [caller.id_of(number) for number in range(caller.accepted)]
    missing = [name for name in due if name not in there]
    lost = [Finding(Sort.LOST, f"the gateway accepted {name}, and Kafka has it not") for name in missing]
    if not due:
        lost.append(Finding(Sort.WRONG, "the gateway accepted nothing: there is nothing to judge"))
    return [*lost, *caller.findings]
