"""The audit's own folds and the services' agree on whatever comes: two people's work from one description."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import schemas
from riverrun import Label, Pipeline
from riverrun.audit.aggregates import arithmetic_of
from riverrun.audit.groups import Layout
from riverrun.audit.labels import Labels
from riverrun.audit.panes import Panes
from riverrun.audit.report import Check
from riverrun.audit.stored import StoredPartials
from riverrun.audit.subject import Subject
from riverrun.features import FeaturePlan, FeatureTable
from riverrun.launch.pipeline_schemas import schemas_of
from riverrun.records.codecs import Codecs
from riverrun.records.ids import Entry, ManifestIds
from riverrun.records.items import Event, Example, FieldValue, Prediction, Source
from riverrun.runtime.keyed_state import KeyedState
from riverrun.testing.key_value import MemoryKeyValueStore
from services.labels.core import LabelsCore
from services.labels.rule import LabelRule
from tests.audit.shop import MINUTE, START, make_pipeline
from tests.audit.worlds import MemoryLog, MemoryPartials
from tests.labels.made import JsonCodec

PIPELINE = make_pipeline()
CITIES = ("Ulm", "Bonn")


class Row(NamedTuple):
    """What an event is made from: minutes since the one before, its stream, its place and its value."""

    after: int
    stream: str
    city: str
    value: float


def _subject(pipeline: Pipeline, partials: MemoryPartials) -> Subject:
    fixed = [Entry(line.subject, line.id, line.schema) for line in schemas.manifest()]
    ids = ManifestIds(fixed, [], lambda _entry: None)
    return Subject(pipeline, Codecs(schemas_of(pipeline), ids), ids.schema_of, MemoryLog({}), partials, 1)


def _events(rows: Sequence[Row]) -> Iterator[Event]:
    time = START
    for seq, (after, stream, city, value) in enumerate(rows):
        time += after * MINUTE
        fields: dict[str, FieldValue] = {"id": f"e{seq}", "order": f"o{seq}", "city": city, "at": time}
        if stream == "paid":
            fields["late"] = None if value < 0.0 else int(value)
        else:
            fields["amount" if stream == "ordered" else "pages"] = value
        yield Event(stream, f"e{seq}", f"o{seq}", time, fields, b"", Source("raw", 0, seq), seq)


ROWS = st.lists(
    st.builds(
        Row,
        # Mostly forward and by little, sometimes back, sometimes beyond whole windows.
        st.one_of(st.integers(-5, 20), st.integers(-400, 500)),
        st.sampled_from(("ordered", "paid", "visited")),
        st.sampled_from(CITIES),
        st.floats(-1e9, 1e9) | st.sampled_from((0.0, -0.0, 0.1, 3.0)),
    ),
    max_size=40,
)


def _assert_same_features(rows: Sequence[Row], stored_at: int) -> None:
    """Fold rows by both; compare every vector, and what the table stores after ``stored_at`` events."""
    table, panes = FeatureTable(FeaturePlan.compile(PIPELINE)), Panes(Layout(PIPELINE), 0)
    plan, partials = FeaturePlan.compile(PIPELINE), MemoryPartials({0: stored_at}, {})
    for event in _events(rows):
        if event.seq == stored_at:
            _store(table, plan, partials)
        if event.stream == "ordered":
            expected = table.vector(event.fields, event.time)
            assert repr(panes.vector(event.fields, event.time, {})) == repr(expected)
        table.update(event.stream, event.fields, event.time, event.seq)
        panes.fold(event.stream, event.fields, event.time, event.seq)
    if stored_at == len(rows):
        _store(table, plan, partials)
    check = Check("", 1)
    stored = StoredPartials(_subject(PIPELINE, partials), Layout(PIPELINE), 0, check)
    for event in _events(rows):
        stored.panes.fold(event.stream, event.fields, event.time, event.seq)
    stored.finish(len(rows))
    assert check.first is None
    assert check.counted == sum(map(len, partials.groups.values()))


def _store(table: FeatureTable, plan: FeaturePlan, partials: MemoryPartials) -> None:
    for number, group in enumerate(plan.groups):
        partials.groups[0, group.id] = {
            name: struct.pack(">Q", position) + value for name, position, value in table.entries(number)
        }


@given(ROWS, st.integers(0, 39))
@settings(max_examples=100, deadline=None)
def test_features_agree_on_any_events(rows: list[Row], stored_at: int) -> None:
    """Vectors are equal bit for bit, and what was stored at any point is what the audit makes of the events."""
    _assert_same_features(rows, min(stored_at, len(rows)))


def test_features_agree_beyond_what_sketches_keep_exactly() -> None:
    """With thousands of values in a window quantile and distinct count are estimates, and still the same."""
    rng = random.Random(5)
    rows = [Row(0, rng.choice(("ordered", "paid", "paid")), "Ulm", rng.random() * 100) for _ in range(4_000)]
    spread = [row._replace(after=1 if number % 20 == 0 else 0) for number, row in enumerate(rows)]
    _assert_same_features(spread, 3_000)


def test_features_agree_on_a_late_event_in_a_pane_that_was_read() -> None:
    """A value that comes late into an older pane counts for the next vector, though that reads the same panes."""
    late = Row(-15, "visited", "Ulm", 5.0)
    rows = [Row(0, "visited", "Ulm", 1.0), Row(15, "visited", "Ulm", 2.0), Row(0, "ordered", "Ulm", 1.0)]
    _assert_same_features([*rows, late, Row(15, "ordered", "Ulm", 1.0)], 4)


def test_of_values_at_the_same_time_the_later_partition_s_is_the_last() -> None:
    """Merging two lasts of one event time keeps the right one, as the definition says."""
    arithmetic = arithmetic_of(next(each for each in PIPELINE.aggregates if each.function == "last"))
    assert arithmetic.merge(arithmetic.first("left", 7), arithmetic.first("right", 7)) == (7, "right")


class Step(NamedTuple):
    """A prediction or a label event: minutes since the one before, what it is, its join value and its label."""

    after: int
    kind: str
    order: str
    late: int | None


STEPS = st.lists(
    st.builds(
        Step,
        st.integers(-12, 12),
        st.sampled_from(("prediction", "paid", "paid", "visited")),
        st.sampled_from(("o1", "o2")),
        st.one_of(st.none(), st.integers(0, 12)),
    ),
    max_size=40,
)


@pytest.mark.parametrize("recurring", [False, True])
@pytest.mark.parametrize("otherwise", [None, False])
@example(steps=[Step(0, "visited", "o1", None), Step(-10, "paid", "o1", 3), Step(0, "prediction", "o1", None)])
@given(steps=STEPS)
@settings(max_examples=100, deadline=None)
def test_labels_agree_on_any_order(steps: list[Step], otherwise: bool | None, recurring: bool) -> None:
    """Both end the same predictions by the same events with the same labels, and count alike."""
    label = Label(PIPELINE.label.value, join="order", wait="10m", otherwise=otherwise, recurring=recurring)
    pipeline = replace(PIPELINE, label=label)
    core = LabelsCore(
        LabelRule.of(pipeline), KeyedState(MemoryKeyValueStore()), JsonCodec(), topic="shop.predictions", partition=0
    )
    plain = Labels(pipeline)
    time, predictions = START, 0
    for seq, (after, kind, order, late) in enumerate(steps):
        time += after * MINUTE
        if kind == "prediction":
            made = Prediction(f"p{seq}", order, time, seq, (), b"v", Source("", 0, seq), seq=predictions)
            predictions += 1
            expected, found = core.step(made), plain.take_prediction(made)
        else:
            fields: dict[str, FieldValue] = {"order": order, "late": late}
            event = Event(kind, f"e{seq}", order, time, fields, b"", Source("", 0, seq), seq)
            expected, found = core.step(event), plain.take_event(event)
        examples = [cast("Example", each) for each in expected]
        wanted = [(each.id, each.outcome, each.label, each.label_time) for each in examples]
        assert [(end.prediction.id, end.outcome, end.label, end.label_time) for end in found] == wanted
    counters = core.counters()
    for name in ("predictions", "labelled", "defaulted", "expired", "revised"):
        assert plain.counts[name] == counters[name], name
