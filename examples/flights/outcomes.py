"""How the predictions turned out: labels, scores and features, collected from ``examples`` while the demo runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from river import metrics

from riverrun.models.measures import make_measures
from riverrun.records.items import LABELLED, Example, FieldValue
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Predictions that got a label, in the order in which the labels came; all arrays have shape (n,).

    Parameters
    ----------
    times, label_times
        When the prediction was made and when its label was known; milliseconds of event time.
    labels
        1.0 for a late arrival, else 0.0.
    scores
        Each model's probability, as it was served, by the model's name; the champion's first.
    features
        The features kept, by name; NaN where missing.
    """

    times: Times
    label_times: Times
    labels: Floats
    scores: dict[str, Floats]
    features: dict[str, Floats]


class OutcomeReader:
    """Reads ``examples`` as it grows.

    Parameters
    ----------
    deployment
        The pipeline.
    keep
        Names of the numeric features to keep.
    """

    def __init__(self, deployment: Deployment, keep: Sequence[str]) -> None:
        names = deployment.pipeline.feature_names
        self._wire = deployment.wire
        self._reader = deployment.log.reader(deployment.topology.names[Kind.EXAMPLES], 0, 0)
        self._places = tuple(names.index(name) for name in keep)
        self._keep = tuple(keep)
        self._models = tuple(model.name for model in deployment.pipeline.models)
        self._times: list[tuple[int, int]] = []
        self._numbers: list[tuple[float, ...]] = []

    @property
    def at_end(self) -> bool:
        """Whether all that is there has been read."""
        return self._reader.at_end

    def read(self, timeout: float = 0.0) -> int:
        """Take in what has arrived, up to 5,000 records; return how many records that was."""
        records = self._reader.poll(_BATCH, timeout)
        for record in records:
            item = self._wire.item(record)
            if isinstance(item, Example) and item.outcome == LABELLED and item.label is not None:
                self._take(item, item.label)
        return len(records)

    def _take(self, example: Example, label: float) -> None:
        values = self._wire.codecs.decode_vector(example.vector).values
        scores = {score.model: score.score for score in example.scores}
        self._times.append((example.time, example.label_time))
        self._numbers.append(
            (
                label,
                *(scores[name] for name in self._models),
                *(_number(values[place]) for place in self._places),
            )
        )

    def outcomes(self) -> Outcomes:
        """Return what was read so far."""
        width = 1 + len(self._models) + len(self._keep)
        numbers = np.array(self._numbers, dtype=np.float64).reshape(-1, width)
        times = np.array(self._times, dtype=np.int64).reshape(-1, 2)
        first = 1 + len(self._models)
        return Outcomes(
            times=times[:, 0],
            label_times=times[:, 1],
            labels=numbers[:, 0],
            scores={name: numbers[:, 1 + at] for at, name in enumerate(self._models)},
            features={name: numbers[:, first + at] for at, name in enumerate(self._keep)},
        )

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()


def _number(value: FieldValue) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def auc(labels: Floats, scores: Floats) -> float:
    """Return the area under the ROC curve: the chance that a late flight was scored above one in time.

    By ranks (Mann and Whitney, 1947); ties count half. NaN if all labels are the same.

    Examples
    --------
    >>> auc(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    return _figure(metrics.ROCAUC, labels, scores)


def log_loss(labels: Floats, scores: Floats) -> float:
    """Return the mean negative log-likelihood in nats.

    Examples
    --------
    >>> round(log_loss(np.array([0.0, 1.0]), np.array([0.5, 0.5])), 4)
    0.6931
    """
    return _figure(metrics.LogLoss, labels, scores)


def _figure(metric: type, labels: Floats, scores: Floats) -> float:
    """Return what riverrun's own measure says of these examples; NaN where it has no figure."""
    (measure,) = make_measures((metric,), "binary")
    found = measure.over(labels.tolist(), scores.tolist())
    return float("nan") if found is None else found
