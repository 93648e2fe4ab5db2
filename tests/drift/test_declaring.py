"""``drift=`` in a pipeline file: what is refused, what is told, and what it becomes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from math import inf
from typing import Any, cast

import pytest

from riverrun.drift.settings import Mode
from riverrun.pipeline import DefinitionError, Drift, Pipeline
from riverrun.pipeline.checks.drift import check_drift
from riverrun.testing.small_pipeline import make_pipeline
from services.drift.watching import monitor_settings, watched_features


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Drift(segments="place"), "segments="),
        (lambda: Drift(features=cast("Any", [3])), "features="),
        (lambda: Drift(window=cast("Any", 0.5)), "window="),
        (lambda: Drift(reference=True), "reference="),
        (lambda: Drift(sensitivity=cast("Any", "extreme")), "'extreme'"),
        (lambda: Drift(against=cast("Any", "last")), "'last'"),
        (lambda: Drift(pinned=("2013-01-01", "soon")), "'soon'"),
        (lambda: Drift(pinned=cast("Any", ("2013-01-01",))), "a pair of times"),
        (lambda: Drift(pinned=("2013-02-01", "2013-01-01")), "ends before it begins"),
    ],
)
def test_nonsense_is_refused_where_it_is_written(make: Callable[[], object], says: str) -> None:
    """What makes no sense by itself is an error of the line that says it."""
    with pytest.raises(DefinitionError, match=says) as caught:
        make()
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


def test_a_pipeline_takes_nothing_else() -> None:
    """``drift=`` of a pipeline is a ``Drift``."""
    with pytest.raises(DefinitionError, match="drift= of a pipeline"):
        make_pipeline("made", drift=cast("Any", True))


@pytest.mark.parametrize(
    ("drift", "code", "says"),
    [
        (Drift(segments=["sise"]), "unknown-feature", "'sise'"),
        (Drift(features=["busy", "worth", "wort"]), "unknown-feature", "'wort'"),
        (Drift(segments=["size"]), "bad-segment", "'size'"),
        (Drift(window=505, reference=5_050), "bad-count", "505"),
        (Drift(window=40), "bad-count", "40"),
        (Drift(window=1_000, reference=1_500), "bad-count", "1500"),
        (Drift(warm_up=-1), "bad-count", "warm_up is -1"),
        (Drift(false_alarms=0.0), "bad-count", "false_alarms is 0.0"),
    ],
)
def test_the_check_tells(drift: Drift, code: str, says: str) -> None:
    """The check names what is wrong, once, with the line of the ``Drift`` and what to write instead."""
    (problem,) = check_drift(make_pipeline("made", drift=drift))
    assert problem.code == code
    assert says in problem.message
    assert problem.hint
    assert problem.location == drift.location


def test_the_check_suggests_names() -> None:
    """A name that is nearly right is put right."""
    (problem,) = check_drift(make_pipeline("made", drift=Drift(features=["wort"])))
    assert "'worth'" in problem.hint


def test_nothing_wrong() -> None:
    """Where all is right, or nothing is asked for, nothing is told."""
    right = Drift(segments=["busy"], features=["size", "busy"], pinned=("2013-01-01", "2013-02-01"), reference=10)
    assert list(check_drift(make_pipeline("made", drift=right))) == []
    assert list(check_drift(make_pipeline("made"))) == []


def test_times_are_utc_unless_they_say_otherwise() -> None:
    """A pinned span is read as UTC; a time zone that is given counts."""
    zone = timezone(timedelta(hours=-5))
    drift = Drift(pinned=(datetime(2013, 1, 1, tzinfo=zone), "2013-01-01T06:00:00"))
    assert drift.pinned_ms == (1_357_016_400_000, 1_357_020_000_000)


def test_what_it_becomes() -> None:
    """Segments get half of window and reference, and the budget is shared among all that look at an event."""
    whole, segment = monitor_settings(Drift(segments=["busy"], reference=4_000, window=400, false_alarms=1.0))
    assert (whole.reference, whole.window, whole.pane, whole.warm_up) == (4_000, 400, 80, 1_000)
    assert (segment.reference, segment.window, segment.pane, segment.warm_up) == (2_000, 200, 40, 500)
    # Two stages, each with one monitor of all and one of the segment, each testing once a pane.
    for settings in (whole, segment):
        assert settings.level * 100_000 / settings.pane * 4 == pytest.approx(1.0)
    assert (whole.mode, whole.since, whole.until) == (Mode.RECENT, -inf, inf)
    pinned, _ = monitor_settings(Drift(pinned=("2013-01-01", "2013-02-01"), against="first"))
    assert (pinned.mode, pinned.since, pinned.until) == (Mode.PINNED, 1_356_998_400_000, 1_359_676_800_000)
    assert pinned.warm_up == 0
    floors = [monitor_settings(Drift(sensitivity=each))[0].floor for each in ("low", "normal", "high")]
    assert floors == sorted(floors, reverse=True)


def test_which_features() -> None:
    """All features are watched, or those that are named, in the vector's order; text and conditions are categories."""
    pipeline: Pipeline = make_pipeline("made")
    assert watched_features(pipeline, Drift()) == {"size": False, "worth": False, "busy": False}
    assert list(watched_features(pipeline, Drift(features=["busy", "size"]))) == ["size", "busy"]
