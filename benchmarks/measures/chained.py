"""``chained``: all five stages in one process against a hand-written loop that does the same work.

Processor time of each side's process, all threads, on the same topics of the flights example. That both wrote the
same predictions, with the same scores to the last bit, is checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from benchmarks.bare import chained as bare
from benchmarks.bare.flight_decoding import Source
from benchmarks.figures import Figure
from benchmarks.flight_pipeline import flights_pipeline
from benchmarks.lab import FIVE_STAGES, Lab, fold, stages
from benchmarks.rounds import Measured, Meter, in_turn, isolated, median_and_spread
from riverrun.launch.pipeline_schemas import schemas_of
from riverrun.records.avro import fullname, parsed
from riverrun.records.framing import frame_header
from riverrun.records.headers import Stamp
from riverrun.records.items import ModelScore, Prediction
from riverrun.records.items import Source as RecordSource
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.ports import TopicSpec
from schemas import current

_WAIT_S: Final = 0.5
_NO_STAMP: Final = Stamp(0, -1, RecordSource("", 0, -1))
_FIXED: Final[Mapping[str, str]] = {
    "dead-letters": "dead_letter",
    "predictions": "prediction",
    "examples": "example",
    "evaluations": "evaluation",
}


def measure(lab: Lab, events: int) -> Figure:
    """Measure; ``events`` flights have been published."""
    results = in_turn(
        [
            lambda number: isolated(riverrun_side, lab, events, f"chained-{number}"),
            lambda number: isolated(bare_side, lab, events, f"bare-{number}"),
        ],
        lab.size.rounds,
    )
    predictions = isolated(compare, lab, "chained-0", "bare-0")
    ratios = [ours.per_cpu_s / theirs.per_cpu_s for ours, theirs in results]
    value, spread = median_and_spread(ratios)
    ours, theirs = results[-1]
    details = {
        "events": events,
        "predictions": predictions,
        "riverrun_per_cpu_s": round(ours.per_cpu_s),
        "bare_per_cpu_s": round(theirs.per_cpu_s),
        "riverrun_per_s": round(ours.per_s),
        "bare_per_s": round(theirs.per_s),
    }
    return Figure("chained", value, spread, tuple(ratios), details=details)


def riverrun_side(lab: Lab, events: int, name: str) -> Measured:
    """Run all stages, chained, under a name of their own."""
    deployment = lab.connect(flights_pipeline(name))
    return fold(deployment, [stages(*FIVE_STAGES)], Meter(events))


def bare_side(lab: Lab, events: int, name: str) -> Measured:
    """Run the hand-written loop."""
    deployment = lab.connect(flights_pipeline(f"schemas-of-{name}"))
    settings = bare_settings(lab, deployment, name)
    deployment.log.ensure_topics([TopicSpec(output.topic, 1) for output in settings.outputs.values()])
    models = {model.name: model.build() for model in deployment.pipeline.models}
    deployment.log.close()
    meter = Meter(events)
    bare.run(settings, models, meter.at)
    return meter.result()


def bare_settings(lab: Lab, deployment: Deployment, name: str) -> bare.ChainSettings:
    """Return what the hand-written loop is told: schemas, and topics that begin with ``name``."""
    outputs = {"events": bare.Output(f"{name}.events", {}, b"")}
    for kind, schema_name in _FIXED.items():
        outputs[kind] = _output(deployment, f"{name}.{kind}", current(schema_name))
    outputs["vectors"] = _output(deployment, f"{name}.vectors", dict(schemas_of(deployment.pipeline).vector.schema))
    return bare.ChainSettings(lab.kafka, _sources(deployment), outputs, lab.folder / f"{name}.pickle")


def _output(deployment: Deployment, topic: str, schema: dict[str, object]) -> bare.Output:
    return bare.Output(topic, parsed(schema), frame_header(deployment.ids.id_of(fullname(schema), schema)))


def _sources(deployment: Deployment) -> dict[str, Source]:
    codecs = deployment.wire.codecs
    return {
        stream.topic: Source(
            topic=stream.topic,
            stream=stream.name,
            key=stream.key,
            time=stream.time,
            schema=parsed(stream.schema),
            frame=frame_header(codecs.stream_id(stream.name)),
            json=stream.name == "observed",
        )
        for stream in codecs.streams
    }


def compare(lab: Lab, ours: str, theirs: str) -> int:
    """Check that both sides predicted the same, to the last bit; return how many predictions.

    Raises
    ------
    RuntimeError
        If they did not.
    """
    deployment = lab.connect(flights_pipeline(ours))
    written = [
        _scores(deployment, topic) for topic in (deployment.topology.names[Kind.PREDICTIONS], f"{theirs}.predictions")
    ]
    deployment.log.close()
    for number, (one, other) in enumerate(zip(*written, strict=False)):
        if one != other:
            raise RuntimeError(f"prediction {number} differs: {one} and {other}")
    if len(written[0]) != len(written[1]):
        raise RuntimeError(f"riverrun made {len(written[0])} predictions, the bare loop {len(written[1])}")
    return len(written[0])


def _scores(deployment: Deployment, topic: str) -> list[tuple[str, int, tuple[ModelScore, ...]]]:
    reader = deployment.log.reader(topic, 0, 0)
    found = []
    while records := reader.poll(5_000, _WAIT_S):
        for record in records:
            item = deployment.wire.codecs.decode(record.value or b"", _NO_STAMP)
            if isinstance(item, Prediction):
                found.append((item.id, item.time, item.scores))
    reader.close()
    return found
