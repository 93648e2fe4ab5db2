"""Made-up pipelines and vectors, for figures that need a certain number of features, aggregates or entities."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from river import compose, linear_model, metrics, optim

from riverrun.models.constant_imputer import ConstantImputer
from riverrun.pipeline import Label, Model, Pipeline, Stream, count, mean
from riverrun.records.avro import make_writer
from riverrun.records.codecs import Codecs
from riverrun.records.framing import frame_header
from riverrun.records.items import LABELLED, Example, ModelScore, Source, Vector

_TIME: Final = {"type": "long", "logicalType": "timestamp-millis"}
_NOWHERE: Final = Source("", 0, 0)


class Ask(NamedTuple):
    """Someone asks at a time (milliseconds); someone may be answered just then."""

    who: str
    at: int
    answered: str | None = None


def make_stream(topic: str, values: tuple[str, ...], entities: tuple[str, ...] = ()) -> Stream:
    """Return a stream of events with an id, a key, a time, some numbers and some names of entities."""
    texts = [{"name": field, "type": "string"} for field in ("id", "who", *entities)]
    numbers = [{"name": field, "type": "double"} for field in values]
    name = "".join(part.title() for part in topic.replace("-", ".").split("."))
    schema = {"type": "record", "name": name, "fields": [*texts, {"name": "at", "type": _TIME}, *numbers]}
    return Stream(topic, schema=schema, format="avro", key="who", time="at", id="id", max_future=None)


def numbers_pipeline(name: str, features: int, model: Callable[[], object]) -> Pipeline:
    """Return a pipeline whose features are so many numbers of the event itself."""
    names = tuple(f"f{number}" for number in range(features))
    asked = make_stream(f"{name}-raw.asked", names)
    answered = make_stream(f"{name}-raw.answered", ("worth",))
    return Pipeline(
        name=name,
        predict_on=asked,
        features={each: asked[each] for each in names},
        label=Label(answered.worth > 0.5, join="who", wait="24h", otherwise=None),
        champion=Model("champion", model),
        metrics=[metrics.LogLoss],
    )


def labelled_vectors(count: int, features: int, seed: int = 7) -> Iterator[tuple[tuple[float, ...], bool]]:
    """Yield vectors of normal numbers, with a label that some of them tell, and that slowly come to mean otherwise."""
    rng = random.Random(seed)
    weights = [rng.gauss(0.0, 1.0) for _ in range(features)]
    for number in range(count):
        if number % 500 == 0:
            weights[rng.randrange(features)] = rng.gauss(0.0, 1.0)
        values = tuple(rng.gauss(0.0, 1.0) for _ in range(features))
        signal = sum(weight * value for weight, value in zip(weights, values, strict=True))
        yield values, signal + rng.gauss(0.0, 1.0) > 0.0


def made_vector(number: int, values: tuple[float, ...]) -> Vector:
    """Return the vector of a `numbers_pipeline` that is the n-th of its partition."""
    return Vector(f"e{number}", f"w{number}", number * 1_000, number, values, (), _NOWHERE, seq=number)


def made_example(number: int, vector: bytes, *, label: bool, score: float = 0.5) -> Example:
    """Return the n-th example of a `numbers_pipeline`: an encoded vector, whose label came half a second after it."""
    return Example(
        id=f"e{number}",
        key=f"w{number}",
        time=number * 1_000,
        outcome=LABELLED,
        label=float(label),
        label_time=number * 1_000 + 500,
        scores=(ModelScore("champion", number, score),),
        vector=vector,
        source=Source("none.predictions", 0, number),
        seq=number,
    )


def made_examples(codecs: Codecs, features: int) -> Iterator[Example]:
    """Yield examples of a `numbers_pipeline` without end."""
    for number, (values, label) in enumerate(labelled_vectors(1 << 30, features)):
        yield made_example(number, codecs.encode(made_vector(number, values)), label=label)


def busy_pipeline(name: str, *, window: str, wait: str, dedupe: str) -> Pipeline:
    """Return a pipeline with a few windows an entity and a cheap model.

    Parameters
    ----------
    name
        Its name, and the first part of its producers' topics.
    window, wait, dedupe
        How long it remembers: of its windows, of predictions without a label, and of ids.
    """
    asked = make_stream(f"{name}-raw.asked", ("size",))
    answered = make_stream(f"{name}-raw.answered", ("worth",))
    return Pipeline(
        name=name,
        predict_on=asked,
        features={
            "size": asked.size,
            "asked": count(asked).by("who").over(window, panes=4),
            "mean_size": mean(asked.size).by("who").over(window, panes=4),
            "worth": mean(answered.worth).by("who").over(window, panes=4),
        },
        label=Label(answered.worth > 0.5, join="who", wait=wait, otherwise=None),
        champion=Model("champion", imputed_logistic),
        metrics=[metrics.LogLoss],
        dedupe=dedupe,
    )


def imputed_logistic() -> compose.Pipeline:
    """Return a logistic regression of the busy pipeline's features."""
    return ConstantImputer({"size": 0.0, "asked": 0.0, "mean_size": 0.0, "worth": 0.5}) | (
        linear_model.LogisticRegression(optim.SGD(0.01))
    )


def busy_messages(
    pipeline: Pipeline, ids: dict[str, int], plan: Iterable[Ask], first: int = 0
) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield topic, key and value of a message for each that asks, and of the answer to an earlier one where it has one.

    Parameters
    ----------
    pipeline
        A `busy_pipeline`.
    ids
        Schema id by topic.
    plan
        Who asks when, and who is answered then.
    first
        Number of the first message; ids are made of numbers.
    """
    streams = {stream.name: stream for stream in pipeline.streams}
    write = {
        name: make_writer(dict(stream.schema.avro), frame_header(ids[stream.topic])) for name, stream in streams.items()
    }
    for number, (who, at, answered) in enumerate(plan, first):
        fields: dict[str, object] = {"id": f"a{number}", "who": who, "at": at, "size": float(number % 10)}
        yield streams["asked"].topic, who.encode(), write["asked"](fields)
        if answered is not None:
            fields = {"id": f"b{number}", "who": answered, "at": at + 1, "worth": float(number % 3) / 2}
            yield streams["answered"].topic, answered.encode(), write["answered"](fields)
