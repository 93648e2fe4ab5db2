"""The judge of the benchmark, and a small run of it: what it calls found, false and late is so."""

from __future__ import annotations

import pytest

from benchmarks.drift.judge import Verdict, always_fire, judge
from benchmarks.drift.streams import KINDS, Change, stream
from benchmarks.drift.subject import Subject

BY_NAME = {kind.name: kind for kind in KINDS}


def test_found_late_and_false() -> None:
    """A finding before the first drift is false; a drift counts by the first finding within its patience, and before
    the next drift.
    """
    changes = [Change(1_000, 500), Change(2_000, 500), Change(3_000, 500)]
    verdict = judge(changes, [400, 1_100, 1_200, 2_600, 3_499], 4_000)
    assert (verdict.drifts, verdict.found, verdict.delays) == (3, 2, [100, 499])
    assert (verdict.quiet, verdict.false_alarms) == (1_000, 1)
    assert verdict.false_alarms_per_100k == 100.0
    assert verdict.recall == pytest.approx(2 / 3)


def test_what_tells_of_something_else_finds_nothing() -> None:
    """Only a finding that tells of the drift counts as having found it; as a false alarm any counts."""
    verdict = judge([Change(1_000, 500)], [900, 1_100, 1_300], 4_000, telling=[1_300])
    assert (verdict.found, verdict.delays, verdict.false_alarms, verdict.moments) == (1, [300], 1, 3)
    assert judge([Change(1_000, 500)], [1_100], 4_000, telling=[]).recall == 0.0
    assert all(kind.shown_by for kind in KINDS if not kind.name.startswith("none"))


def test_nothing_to_be_found() -> None:
    """On a stream without drift every finding is false; there is no recall and no delay."""
    verdict = judge([], [10, 20], 50_000)
    assert (verdict.recall, verdict.delay, verdict.false_alarms_per_100k) == (None, None, 4.0)


def test_verdicts_add_up() -> None:
    """Streams are judged together by their sums."""
    whole = Verdict()
    whole.add(judge([Change(10, 5)], [12], 100))
    whole.add(judge([Change(10, 5)], [20], 100))
    assert (whole.recall, whole.events, whole.quiet, whole.delays) == (0.5, 200, 20, [2])


def test_firing_always() -> None:
    """The baseline fires at even distances, whatever it sees."""
    verdict = always_fire([Change(450, 100)], 1_000, 100.0)
    assert (verdict.moments, verdict.false_alarms, verdict.delays) == (10, 4, [49])


@pytest.mark.parametrize("name", ["sudden", "none"])
def test_a_stream_is_judged_as_a_pipeline_would_see_it(name: str) -> None:
    """With the settings that a pipeline gets by default, a sudden drift is found soon after it begins, and nothing
    where there is none.
    """
    changes, events = stream(BY_NAME[name], 3, 18_000)
    subject = Subject()
    subject.run(events)
    moments = [at for at, _ in subject.found]
    verdict = judge(changes, moments, 18_000)
    assert verdict.false_alarms == 0
    assert verdict.found == verdict.drifts == len(changes)
    assert stream(BY_NAME[name], 3, 18_000)[0] == changes
