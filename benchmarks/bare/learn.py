"""The plain River loop over logged examples: decode, evaluate what was served, learn."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader

_FRAME = 5


class PlainLoop:
    """Learns examples one by one.

    Parameters
    ----------
    model
        A River classifier.
    metric
        A River metric of probabilities.
    schema
        Avro schema of the vectors, without logical types.
    features
        Which of its fields are features, in order.
    """

    def __init__(self, model: Any, metric: Any, schema: dict[str, object], features: tuple[str, ...]) -> None:
        self.model = model
        self.metric = metric
        self._schema = parse_schema(schema)
        self._features = features

    def run(self, examples: Iterable[tuple[bytes, bool, float]]) -> None:
        """Learn framed vectors, each with its label and the probability that was served for it."""
        model, metric, schema, features = self.model, self.metric, self._schema, self._features
        for payload, label, score in examples:
            source = BytesIO(payload)
            source.seek(_FRAME)
            vector: Any = schemaless_reader(source, schema, None)
            x = {name: value for name in features if (value := vector[name]) is not None}
            metric.update(label, score)
            model.learn_one(x, label)
