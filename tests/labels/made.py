"""Items and a codec for the tests of the labels stage."""

from __future__ import annotations

import json
from collections.abc import Mapping

from riverrun.records.items import Event, FieldValue, ModelScore, Prediction, Source
from services.labels.rule import LabelRule, as_label

TOPIC = "p.predictions"
WAIT = 5_000


class JsonCodec:
    """Encodes predictions as JSON, and counts."""

    def __init__(self) -> None:
        self.encoded = 0
        self.decoded = 0

    def encode(self, prediction: Prediction) -> bytes:
        self.encoded += 1
        scores = [list(score) for score in prediction.scores]
        content = [
            prediction.id,
            prediction.key,
            prediction.time,
            prediction.event_seq,
            scores,
            prediction.vector.hex(),
        ]
        return json.dumps(content).encode()

    def decode(self, payload: bytes) -> Prediction:
        self.decoded += 1
        name, key, time, event_seq, scores, vector = json.loads(payload)
        models = tuple(ModelScore(*score) for score in scores)
        return Prediction(name, key, time, event_seq, models, bytes.fromhex(vector), Source("", 0, 0))


def prediction(seq: int, key: str, time: int, event_seq: int = 1_000_000) -> Prediction:
    """Make a prediction whose id, score and vector follow from its position."""
    made = Prediction(
        id=f"id-{seq}",
        key=key,
        time=time,
        event_seq=event_seq,
        scores=(ModelScore("champion", seq, seq / 10), ModelScore("challenger", seq, 0.5)),
        vector=b"vector-%d" % seq,
        source=Source("p.vectors", 0, seq),
        seq=seq,
    )
    made.payload = JsonCodec().encode(made)
    return made


def event(seq: int, stream: str, key: str, time: int, delay: FieldValue = None) -> Event:
    """Make an event whose field ``delay`` is the label."""
    fields: dict[str, FieldValue] = {"flight": key, "delay": delay}
    return Event(stream, f"event-{seq}", key, time, fields, b"", Source("raw", 0, seq), seq)


def delay_of(fields: Mapping[str, FieldValue]) -> float | None:
    """Read the label."""
    return as_label(fields.get("delay"))


def rule(
    *, stream: str = "arrived", wait_ms: int = WAIT, otherwise: float | None = None, recurring: bool = False
) -> LabelRule:
    """Make a rule: the label is ``delay`` of ``arrived``, joined by the event's key."""
    return LabelRule(stream, None, delay_of, wait_ms, otherwise, recurring)
