"""The run that nobody disturbs: it must leave the same as the one that everything happened to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, Final

from chaos.evidence import Evidence, Row, gather
from chaos.findings import Finding, Sort
from chaos.layouts import Setting
from chaos.parcels import DISORDER, ParcelLoad
from chaos.plain_models import PlainModels
from chaos.world import Plan, World
from riverrun.records.topics import Kind

__all__ = ["differences"]

_COMPARED: Final = (Kind.EVENTS, Kind.VECTORS, Kind.PREDICTIONS, Kind.EXAMPLES)


def differences(evidence: Evidence, world: World, setting: Setting) -> Iterator[Finding]:
    """Run the same messages through a chain that nobody disturbs, and compare all of it.

    Every event, vector, score and example must be the same, and the digests of both models: the scores too, since in
    a chain of one partition each is by the model that had learned from every example before it.
    """
    plan = Plan(f"{setting.name}-calm", ParcelLoad(setting.seed, DISORDER))
    with World(plan, world.addresses, setting.folder / "calm") as calm:
        calm.publish(world.published)
        calm.rest()
        undisturbed = gather(calm)
        digests = _digests(undisturbed)
    for kind in _COMPARED:
        yield from _rows(kind, evidence, undisturbed)
    for name, found in _digests(evidence).items():
        if found != digests[name]:
            yield Finding(Sort.WRONG, f"{name} ends as {found}, undisturbed as {digests[name]}")


def _digests(evidence: Evidence) -> dict[str, str]:
    models = PlainModels(evidence)
    # Only for the fold: whatever is wrong was told when the run was judged.
    list(models.findings())
    return models.digests


def _rows(kind: Kind, evidence: Evidence, undisturbed: Evidence) -> Iterator[Finding]:
    for found, due in zip_longest(evidence.rows[kind], undisturbed.rows[kind]):
        if found is None or due is None or _content(evidence, found) != _content(undisturbed, due):
            text = f"{kind.value}: {_text(evidence, found)}, undisturbed {_text(undisturbed, due)}"
            yield Finding(Sort.WRONG, text, None if found is None else found.at_ms)
            # What follows the first difference differs too.
            return


def _text(evidence: Evidence, row: Row | None) -> str:
    return "nothing" if row is None else str(_content(evidence, row))


def _content(evidence: Evidence, row: Row) -> tuple[Any, ...]:
    """Return what of a record does not depend on the pipeline's name."""
    item = row.item
    vector = getattr(item, "vector", None)
    values = None if vector is None else evidence.deployment.wire.codecs.decode_vector(vector).values
    names = ("stream", "id", "key", "time", "event_seq", "values", "scores", "outcome", "label", "label_time")
    return (*(getattr(item, name, None) for name in names), values, row.stamp.source.position, row.stamp.seq)
