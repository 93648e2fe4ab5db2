"""Drift as a fold finds it that nothing interrupts: what the service found must be the same, finding by finding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Final

from chaos.evidence import Evidence, Row
from chaos.findings import Finding, Sort
from chaos.sequences import Found, compare, equal_counts
from riverrun.models.digest import digest
from riverrun.records.items import Drift
from riverrun.records.topics import Kind
from riverrun.runtime.stage import StageDefinition
from services.drift.core import DriftCore
from services.drift.wiring import DRIFT_ERRORS, DRIFT_INPUTS, errors_core, inputs_core

__all__ = ["drift_findings"]

_PARTITION: Final = 0


def drift_findings(evidence: Evidence) -> Iterator[Finding]:
    """Yield what is wrong with the findings of drift in a world of one partition, at rest.

    The fold is the product's own, started once and fed with the whole log; whether it tells what moved is shown
    elsewhere (``make drift``). Here it counts that kills, replays and restored state leave no trace in it.
    """
    pipeline, codecs = evidence.pipeline, evidence.deployment.wire.codecs
    found = evidence.rows[Kind.DRIFT]
    if not found:
        yield Finding(Sort.WRONG, "no drift was found: the load was too short to judge by")
    writers = {stage.writer(_PARTITION, evidence.partitions) for stage in (DRIFT_INPUTS, DRIFT_ERRORS)}
    for row in found:
        if row.stamp.writer not in writers:
            text = f"{row.item.id} was written by {row.stamp.writer}, who is no drift stage"
            yield Finding(Sort.WRONG, text, row.at_ms)
    for stage, core, kind in (
        (DRIFT_INPUTS, inputs_core(pipeline, codecs, _PARTITION), Kind.PREDICTIONS),
        (DRIFT_ERRORS, errors_core(pipeline, codecs), Kind.EXAMPLES),
    ):
        writer = stage.writer(_PARTITION, evidence.partitions)
        own = [row for row in found if row.stamp.writer == writer]
        yield from _stage(stage.name, own, _folded(core, evidence.rows[kind]))
        yield from equal_counts(stage.name, evidence.counters(stage.name), core.counters())
        topic = evidence.deployment.topology.names[Kind.DRIFT]
        said = evidence.progress[stage.name, _PARTITION][-1].outputs
        yield from equal_counts(stage.name, {topic: said.get(topic, 0)}, {topic: len(own)})
        yield from _kept(evidence, stage, core)


def _kept(evidence: Evidence, stage: StageDefinition, core: DriftCore) -> Iterator[Finding]:
    """Compare all that the stage has in memory at its end, as it stored it: findings that are still to come too."""
    kept = stage.build(evidence.deployment.context(_PARTITION, frozenset()))
    try:
        if kept.states[0].load() is None:
            yield Finding(Sort.WRONG, f"{stage.name} has stored nothing at its end")
        elif isinstance(kept.core, DriftCore) and digest(kept.core.state()) != digest(core.state()):
            yield Finding(Sort.WRONG, f"{stage.name} ends with another state than an undisturbed fold")
    finally:
        for state in kept.states:
            state.close()


def _folded(core: DriftCore, rows: Iterable[Row]) -> list[tuple[Drift, int]]:
    """Fold the whole log; return what is found, and when the record was made by which."""
    return [(drift, row.at_ms) for row in rows for drift in core.step(row.item)]


def _stage(name: str, rows: list[Row], due: list[tuple[Drift, int]]) -> Iterator[Finding]:
    came = [Found(row.item.id, row.at_ms) for row in rows]
    yield from compare(f"findings of {name}", came, [Found(drift.id, at_ms) for drift, at_ms in due])
    if [each.id for each in came] != [drift.id for drift, _ in due]:
        return
    for number, (row, (drift, _)) in enumerate(zip_longest(rows, due)):
        drift.seq = number
        if row.item != drift:
            yield Finding(Sort.WRONG, f"{name} found {row.item}, undisturbed {drift}", row.at_ms)
