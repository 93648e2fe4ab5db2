"""The demo's figures are what they say: held to naive computations, and drawn."""

from __future__ import annotations

from itertools import pairwise
from math import log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.flights.baselines import STATIC_FEATURES, no_change
from examples.flights.outcomes import Outcomes, auc, log_loss
from examples.flights.picture import draw
from examples.flights.quality import APRIL_MS, NO_CHANGE, STATIC, measure, weeks

HOUR_MS = 3_600_000
PAIRS = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])), min_size=1, max_size=40)


def columns(pairs: list[tuple[bool, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([float(label) for label, _ in pairs]), np.array([score for _, score in pairs])


def made(count: int, start_ms: int, *, seed: int = 1) -> Outcomes:
    """Outcomes in which the champion knows something and the challenger nothing; a label comes 3 hours later."""
    random = np.random.default_rng(seed)
    times = start_ms + np.arange(count, dtype=np.int64) * HOUR_MS // 4
    truth = random.random(count)
    labels = (random.random(count) < truth).astype(np.float64)
    features = {name: random.random(count) for name in STATIC_FEATURES}
    scores = {"knows": truth, "guesses": random.random(count)}
    return Outcomes(times, times + 3 * HOUR_MS, labels, scores, features)


@given(PAIRS)
def test_auc_is_the_share_of_pairs_in_the_right_order(pairs: list[tuple[bool, float]]) -> None:
    """Ties count half; without both kinds of labels there is no figure."""
    late = [score for label, score in pairs if label]
    in_time = [score for label, score in pairs if not label]
    found = auc(*columns(pairs))
    if not late or not in_time:
        assert np.isnan(found)
        return
    right = sum((a > b) + 0.5 * (a == b) for a in late for b in in_time)
    assert found == pytest.approx(right / (len(late) * len(in_time)))


@given(PAIRS)
def test_log_loss_is_the_mean_of_its_terms(pairs: list[tuple[bool, float]]) -> None:
    """A certain and wrong score costs much, but not without end."""
    clipped = [(label, min(max(score, 1e-15), 1.0 - 1e-15)) for label, score in pairs]
    terms = [-log(score if label else 1.0 - score) for label, score in clipped]
    assert log_loss(*columns(pairs)) == pytest.approx(sum(terms) / len(terms), rel=1e-6)


def test_no_change_knows_only_labels_that_had_come() -> None:
    """Each score follows from the last label known at that moment and what followed such a label before."""
    outcomes = made(300, APRIL_MS, seed=3)
    scores = no_change(outcomes)
    for row in (0, 5, 13, 100, 299):
        known = [outcomes.labels[other] for other in range(300) if outcomes.label_times[other] <= outcomes.times[row]]
        if not known:
            assert scores[row] == 0.5
            continue
        after = [b for a, b in pairwise(known) if a == known[-1]]
        assert scores[row] == pytest.approx((sum(after) + 1.0) / (len(after) + 2.0))


def test_the_year_is_evaluated_from_april_on() -> None:
    """What comes before trains the static model, and counts for nobody."""
    outcomes = made(4_000, APRIL_MS - 1_000 * HOUR_MS // 4)
    quality = measure(outcomes)
    assert quality.since == APRIL_MS
    assert quality.flights == 3_000
    assert quality.models["knows"].auc > 0.75
    assert quality.models["guesses"].auc == pytest.approx(0.5, abs=0.05)
    assert set(quality.baselines) == {STATIC, NO_CHANGE}
    assert quality.baselines[STATIC].auc == pytest.approx(0.5, abs=0.08)


def test_a_short_run_is_evaluated_on_its_last_two_thirds() -> None:
    """A run that ends in January has figures too."""
    quality = measure(made(3_000, APRIL_MS - 80 * 24 * HOUR_MS))
    assert quality.flights == pytest.approx(2_000, abs=2)


def test_a_run_too_short_for_baselines_has_none() -> None:
    """A static model of a handful of flights would be no baseline."""
    assert measure(made(100, APRIL_MS)).baselines == {}
    assert measure(made(0, APRIL_MS)).flights == 0


def test_weeks_add_up_and_the_picture_is_drawn(tmp_path: Path) -> None:
    """Each week is evaluated by itself; the file is a PNG."""
    outcomes = made(4_000, APRIL_MS - 1_000 * HOUR_MS // 4)
    quality = measure(outcomes)
    rows = list(weeks(outcomes, quality, "knows"))
    assert len(rows) == 6
    assert all(row.score.auc > 0.7 for row in rows)
    draw(outcomes, quality, tmp_path / "demo.png")
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
