"""The demo's figures of quality: every model and baseline on the same flights, over all of them and by the week."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from examples.flights.baselines import no_change, static_lightgbm
from examples.flights.outcomes import Floats, Mask, Outcomes, auc, log_loss

APRIL_MS = int(datetime(2013, 4, 1, 4, tzinfo=UTC).timestamp() * 1000)
"""Midnight in New York, 1 April 2013: what comes before is what the static model is trained on."""

WEEK_MS = 7 * 24 * 3_600_000
_TRAINING_SHARE = 1 / 3
_FEWEST = 200

STATIC = "static LightGBM"
NO_CHANGE = "no change"


@dataclass(frozen=True, slots=True)
class Score:
    """One scorer's quality over the evaluated flights."""

    auc: float
    log_loss: float

    def as_json(self) -> dict[str, float]:
        """Return the figures by name."""
        return {"auc": round(self.auc, 6), "log_loss": round(self.log_loss, 6)}


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures of the models and baselines.

    Parameters
    ----------
    since
        Event time from which flights are evaluated, milliseconds.
    flights
        How many.
    models, baselines
        By name, the champion's first.
    scores
        All scores by name, shape (n,): what the picture is drawn from.
    """

    since: int
    flights: int
    models: dict[str, Score]
    baselines: dict[str, Score]
    scores: dict[str, Floats]


def measure(outcomes: Outcomes) -> Quality:
    """Evaluate all that scored, on the flights after the static model's training.

    These are the flights announced from April on; in a run that does not get so far, the last two thirds.
    """
    since = APRIL_MS
    if len(outcomes.times):
        since = min(since, int(np.quantile(outcomes.times, _TRAINING_SHARE)))
    evaluated = outcomes.times >= since
    baselines = {}
    if min(evaluated.sum(), (~evaluated).sum()) >= _FEWEST:
        baselines = {STATIC: static_lightgbm(outcomes, ~evaluated), NO_CHANGE: no_change(outcomes)}
    return Quality(
        since=since,
        flights=int(evaluated.sum()),
        models={name: _score(outcomes, scores, evaluated) for name, scores in outcomes.scores.items()},
        baselines={name: _score(outcomes, scores, evaluated) for name, scores in baselines.items()},
        scores={**outcomes.scores, **baselines},
    )


def _score(outcomes: Outcomes, scores: Floats, chosen: Mask) -> Score:
    labels, scores = outcomes.labels[chosen], scores[chosen]
    return Score(auc(labels, scores), log_loss(labels, scores))


@dataclass(frozen=True, slots=True)
class Week:
    """One week of one scorer."""

    middle: datetime
    score: Score


def weeks(outcomes: Outcomes, quality: Quality, name: str) -> Iterator[Week]:
    """Yield a scorer's weeks that have enough flights; a baseline's begin where it is out of its training."""
    first = quality.since if name in quality.baselines else int(outcomes.times.min(initial=quality.since))
    number = (outcomes.times - first) // WEEK_MS
    for week in range(int(number.max(initial=-1)) + 1):
        chosen = number == week
        if chosen.sum() >= _FEWEST:
            middle = datetime.fromtimestamp((first + (week + 0.5) * WEEK_MS) / 1000, UTC)
            yield Week(middle, _score(outcomes, quality.scores[name], chosen))
