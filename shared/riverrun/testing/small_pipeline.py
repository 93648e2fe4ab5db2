"""A small pipeline with every kind of fold in it, for tests of the runtime: quick, and easy to recompute by hand.

Whoever ``asked`` waits for what is ``answered``. Numbers in its events are whole, so sums of them are exact in any
order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from river import linear_model

from riverrun.pipeline import Drift, Label, Model, Pipeline, Stream, count, mean

__all__ = ["BUSY_MS", "PANES", "WAIT_MS", "WORTH_MS", "make_pipeline"]

_MINUTE_MS: Final = 60_000
PANES: Final = 4
"""Panes of both windows."""
WORTH_MS: Final = 20 * _MINUTE_MS
"""Window of the feature ``worth``."""
BUSY_MS: Final = 8 * _MINUTE_MS
"""Window of the feature ``busy``."""
WAIT_MS: Final = 30 * _MINUTE_MS
"""How long a label is waited for."""
_TIME: Final = {"type": "long", "logicalType": "timestamp-millis"}


def _stream(topic: str, value: str) -> Stream:
    texts = [{"name": field, "type": "string"} for field in ("id", "who", "place")]
    rest = [{"name": "at", "type": _TIME}, {"name": value, "type": "double"}]
    schema = {"type": "record", "name": topic.rpartition(".")[2].title(), "fields": [*texts, *rest]}
    return Stream(topic, schema=schema, key="who", time="at", id="id", max_future=None)


def _logistic_regression() -> linear_model.LogisticRegression:
    return linear_model.LogisticRegression()


def make_pipeline(
    name: str,
    *,
    otherwise: bool | None = False,
    snapshot_every: int = 10,
    challengers: Sequence[Model] = (),
    drift: Drift | None = None,
) -> Pipeline:
    """Return the pipeline.

    Parameters
    ----------
    name
        Its name, and the first part of its producers' topics.
    otherwise
        The label of what is not answered in time.
    snapshot_every
        Examples between two published versions of the model.
    challengers
        Models beside the champion, which is called ``line``.
    drift
        What is watched for drift.
    """
    asked = _stream(f"{name}-raw.asked", "size")
    answered = _stream(f"{name}-raw.answered", "worth")
    return Pipeline(
        name=name,
        predict_on=asked,
        rules=[asked.size >= 0],
        features={
            "size": asked.size,
            "worth": mean(answered.worth).by("place").over(f"{WORTH_MS // 1000}s", panes=PANES).fallback(0.0),
            "busy": count(asked).by("place").over(f"{BUSY_MS // 1000}s", panes=PANES),
        },
        label=Label(answered.worth > 2, join="who", wait=f"{WAIT_MS // 1000}s", otherwise=otherwise),
        champion=Model("line", _logistic_regression),
        challengers=challengers,
        drift=drift,
        dedupe="4h",
        snapshot_every=snapshot_every,
    )
