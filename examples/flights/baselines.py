"""What the pipeline has to beat: a model trained once on what is static, and the belief that nothing changes."""

from __future__ import annotations

import lightgbm
import numpy as np

from examples.flights.outcomes import Floats, Mask, Outcomes

STATIC_FEATURES = ("hour", "weekday", "dewp", "wind_dir", "wind_speed", "precip", "pressure", "visib")
"""Calendar and weather: nothing that must be kept up to date by a stream of delays."""

_TREES = 150
_SEED = 7


def static_lightgbm(outcomes: Outcomes, training: Mask) -> Floats:
    """Return the scores of gradient-boosted trees trained once, on calendar and weather.

    Parameters
    ----------
    outcomes
        All of them.
    training
        Which of them to train on, shape (n,).

    Returns
    -------
    numpy.ndarray
        Probabilities, shape (n,); those of the training part are in-sample and no measure of anything.
    """
    columns = np.column_stack([outcomes.features[name] for name in STATIC_FEATURES])
    data = lightgbm.Dataset(columns[training], outcomes.labels[training])
    settings = {
        "objective": "binary",
        "learning_rate": 0.05,
        "num_leaves": 31,
        "min_data_in_leaf": 100,
        "deterministic": True,
        "seed": _SEED,
        "num_threads": 2,
        "verbosity": -1,
    }
    scores: Floats = np.asarray(lightgbm.train(settings, data, _TREES).predict(columns), dtype=np.float64)
    return scores


def no_change(outcomes: Outcomes) -> Floats:
    """Return the scores of the belief that what was last is what comes: from the label known last at each prediction.

    River's ``dummy.NoChangeClassifier`` says that label itself; as a probability it is how often, so far, a label has
    been true after one like it, counted from one of each.

    Returns
    -------
    numpy.ndarray
        Probabilities, shape (n,), in the order of the outcomes.
    """
    order = np.argsort(outcomes.label_times, kind="stable")
    known_at, labels = outcomes.label_times[order], outcomes.labels[order]
    # For each label that came: how often, up to then, was a label true after a true one, and after a false one?
    before, after = labels[:-1], labels[1:]
    shares = []
    for last in (0.0, 1.0):
        followed = np.concatenate([[0.0], np.cumsum(before == last)])
        true = np.concatenate([[0.0], np.cumsum((before == last) & (after == 1.0))])
        shares.append((true + 1.0) / (followed + 2.0))
    place = np.searchsorted(known_at, outcomes.times, side="right") - 1
    seen = place >= 0
    place = np.maximum(place, 0)
    scores = np.where(labels[place] == 1.0, shares[1][place], shares[0][place])
    return np.where(seen, scores, 0.5)
