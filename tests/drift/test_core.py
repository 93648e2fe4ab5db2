"""The fold of the drift stages: what is watched of predictions and examples, and how it is told."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from math import nan

import pytest

from riverrun.models.pickling import dump_state, load_state
from riverrun.records.items import DEFAULTED, EXPIRED, LABELLED, REVISED, Drift, Example, Prediction, Source
from services.drift.core import DriftCore
from tests.drift.made import SMALL, error_core, example, input_core, prediction, told

QUIET = 2_000


def predictions(count: int, *, moved_from: int, seed: int = 1) -> list[Prediction]:
    """Make predictions whose delay and score move, for one carrier only, from a position on."""
    rng = random.Random(seed)
    made = []
    for seq in range(count):
        carrier = rng.choice(("UA", "AA"))
        moved = seq >= moved_from and carrier == "UA"
        made.append(
            prediction(seq, rng.gauss(2.0 if moved else 0.0, 1.0), carrier, rng.uniform(0.8 if moved else 0.0, 1.0))
        )
    return made


def examples(count: int, *, worse_from: int, seed: int = 1) -> list[Example]:
    """Make examples of which the champion knows the probability, up to a position, and the challenger never does."""
    rng = random.Random(seed)
    made = []
    for seq in range(count):
        probability = rng.random()
        label = float(rng.random() < probability)
        served = probability if seq < worse_from else 1.0 - probability
        made.append(example(seq, label, (served, 0.5)))
    return made


def run(core: DriftCore, items: Sequence[Prediction | Example]) -> list[Drift]:
    """Fold items; return what was found."""
    return [finding for item in items for finding in core.step(item)]


def test_inputs_and_predictions_by_segment() -> None:
    """What moves for one carrier is told of all records and of that carrier, of the feature and of the model, and of
    nothing else; the records say where and since when.
    """
    core = input_core()
    assert run(core, predictions(QUIET, moved_from=QUIET)) == []
    found = run(core, predictions(3_000, moved_from=QUIET)[QUIET:])
    wanted = {("input", "delay"), ("prediction", "line")}
    assert told(found) == {(*what, segment) for what in wanted for segment in ("", "carrier=UA")}
    for finding in found:
        topic, partition, position = finding.source
        assert (topic, partition) == ("p.predictions", 0)
        assert finding.detected_offset == position
        assert finding.time == position * 1_000
        assert abs(finding.since_offset - QUIET) <= 60
        assert finding.since_time == finding.since_offset * 1_000
        assert finding.value >= finding.threshold
        assert finding.severity == ("critical" if finding.value >= 2 * finding.threshold else "warning")
        assert finding.segment in finding.message
        assert f"record {finding.since_offset} of p.predictions[0]" in finding.message
    assert len({finding.id for finding in found}) == len(found)
    assert core.counters()["findings"] == len(found)


def test_names_of_categories() -> None:
    """A finding on a category names its categories, the common ones first, and counts what is in neither."""
    core = input_core(segments=())
    rng = random.Random(1)
    run(core, [prediction(seq, 0.0, rng.choice(("UA", "UA", "AA"))) for seq in range(QUIET)])
    found = run(core, [prediction(seq, 0.0, rng.choice(("AA", "B6"))) for seq in range(QUIET, 2_300)])
    (finding,) = [each for each in found if each.kind == "input"]
    assert finding.labels == ("UA", "AA", "(others)")
    assert finding.edges == ()
    assert finding.current[0] < finding.reference[0]
    assert finding.reference[2] == 0
    assert finding.current[2] > 0
    assert finding.statistic == "jensen-shannon"


def test_categories_without_end() -> None:
    """Where nearly every record brings a category of its own, those beyond the first 4,096 are one, and have a name."""
    core = input_core(segments=(), settings=replace(SMALL, warm_up=4_096))
    start = 4_096 + QUIET
    run(core, [prediction(seq, 0.0, f"N{seq}") for seq in range(start)])
    found = run(core, [prediction(seq, 0.0, None if seq % 2 else f"L{seq}") for seq in range(start, start + 600)])
    (missing,) = [each for each in found if each.kind == "missing"]
    assert missing.subject == "carrier"
    assert missing.labels == ("(beyond the first 4,096)", "(others)")


def test_errors_and_calibration() -> None:
    """A model that begins to be wrong is told, with the detectors that agree; the other model is not."""
    core = error_core(segments=())
    found = run(core, examples(2_600, worse_from=QUIET))
    assert ("error", "line", "") in told(found)
    assert {subject for _, subject, _ in told(found)} == {"line"}
    (finding,) = [each for each in found if each.kind == "error"]
    assert "agree" in finding.message
    assert finding.detected_offset - QUIET < 200


def test_errors_that_fall_are_good_news() -> None:
    """A model that begins to be right is no finding of error."""
    core = error_core(segments=())
    found = run(core, [*examples(QUIET, worse_from=0), *examples(2_600, worse_from=2_600)[QUIET:]])
    assert "error" not in {finding.kind for finding in found}


def test_balance_is_calibration() -> None:
    """Scores that are all too high by the same amount are told as badly calibrated."""
    core = error_core(segments=())
    rng = random.Random(2)
    labels = [(seq, 0.3 + 0.2 * rng.random()) for seq in range(3_000)]
    moved = [
        example(seq, float(rng.random() < share), (min(1.0, share + (0.4 if seq >= QUIET else 0.0)), 0.5))
        for seq, share in labels
    ]
    assert ("calibration", "line", "") in told(run(core, moved))


def test_labels_late_and_never() -> None:
    """Labels that take longer, and labels that do not come, are two different findings."""
    rng = random.Random(3)
    late, never = error_core(segments=()), error_core(segments=())
    kinds = []
    for core, slow, lost in ((late, 3.0, 0.02), (never, 1.0, 0.4)):
        made = []
        for seq in range(3_000):
            moved = seq >= QUIET
            label = float(rng.random() < 0.5)
            delay = int(rng.uniform(10.0, 100.0) * (slow if moved else 1.0))
            if rng.random() < (lost if moved else 0.02):
                made.append(example(seq, None, (0.5, 0.5), outcome=EXPIRED, delay=500))
            else:
                made.append(example(seq, label, (0.5, 0.5), delay=delay))
        kinds.append({finding.kind for finding in run(core, made)})
    assert kinds == [{"label-delay"}, {"label-starvation"}]


def test_a_number_has_an_error_too() -> None:
    """For a number, the error is the distance; no detector of right and wrong is asked."""
    core = error_core(segments=(), binary=False)
    rng = random.Random(4)
    made = [example(seq, rng.gauss(0.0, 1.0 if seq < QUIET else 4.0) + 10.0, (10.0, nan)) for seq in range(2_600)]
    found = [finding for finding in run(core, made) if finding.kind == "error"]
    assert [finding.subject for finding in found] == ["line"]
    assert "DDM" not in found[0].message


def test_what_has_no_part_in_it() -> None:
    """A revision is not watched; a default counts as a label that did not come, but is learned, so its error counts."""
    core = error_core(segments=())
    run(core, [example(seq, 1.0, (0.9, 0.5), outcome=REVISED) for seq in range(50)])
    assert core.counters() == {"records": 50, "watched": 0, "unwatched_segments": 0, "findings": 0}
    seen = core._observer.observe(example(50, 0.0, (0.9, 0.5), outcome=DEFAULTED))
    assert seen is not None
    assert seen.row[0] == 0.0
    assert seen.row[1] != seen.row[1]
    assert seen.row[2] == 1.0
    assert [(each.model, round(each.error, 9), each.wrong) for each in seen.errors] == [
        ("line", 0.81, True),
        ("tree", 0.25, False),
    ]


def test_segments_are_bounded() -> None:
    """However many values a segment has, 64 are watched; records of the others are counted."""
    core = input_core()
    run(core, [prediction(seq, 0.0, f"c{seq % 100}") for seq in range(1_000)])
    assert core.counters()["unwatched_segments"] == 360


def test_watermark_is_the_time_at_which_a_label_was_known() -> None:
    """The watermark of examples runs with their labels, which are known later than what they are of."""
    core = error_core()
    run(core, [example(5, 1.0, (0.5, 0.5), delay=60), example(4, 1.0, (0.5, 0.5), delay=10)])
    assert core.watermark == 65_000


@pytest.mark.parametrize("cut", [0, 1, 333, 1_000, 2_050, 2_599])
def test_restored_and_replayed_it_goes_on_alike(cut: int) -> None:
    """From a stored state and a quiet replay, whose first records the state has already, the same is found as without
    any stop, for predictions and for examples.
    """
    streams: tuple[tuple[DriftCore, DriftCore, Sequence[Prediction | Example]], ...] = (
        (input_core(), input_core(), predictions(2_600, moved_from=QUIET)),
        (error_core(), error_core(), examples(2_600, worse_from=QUIET)),
    )
    for first, second, items in streams:
        stored = first
        found = run(stored, items[:cut])
        state = load_state(dump_state(stored.state()))
        assert isinstance(state, dict)
        second.restore(stored.state().__class__(**state))
        committed = min(cut + 200, len(items))
        found += run(stored, items[cut:committed])
        for item in items[max(0, cut - 50) : committed]:
            second.replay(item)
        second.resume(stored.counters(), stored.watermark)
        assert second.counters() == stored.counters()
        rest = run(second, items[committed:])
        assert rest == run(stored, items[committed:])
        assert found + rest


def test_reset_is_a_fresh_start() -> None:
    """After a reset a core finds what a new one finds."""
    items = predictions(2_600, moved_from=QUIET)
    core = input_core()
    found = run(core, items)
    core.reset()
    assert core.folded == 0
    assert run(core, items) == found


def test_several_writers() -> None:
    """Examples of several writers are one stream; each writer's replayed records are known by its own positions."""
    core = error_core(segments=())
    run(core, [example(0, 1.0, (0.5, 0.5), writer=0), example(0, 1.0, (0.5, 0.5), writer=1)])
    core.replay(example(0, 1.0, (0.5, 0.5), writer=1))
    core.replay(example(1, 1.0, (0.5, 0.5), writer=1))
    assert core.folded == 3
    assert example(0, 1.0, (0.5, 0.5)).outcome == LABELLED
    assert example(0, 1.0, (0.5, 0.5)).source == Source("p.predictions", 0, 0)
