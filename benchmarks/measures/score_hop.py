"""``score_hop``: the score stage alone against a hand-written hop with the same models, records and transactions.

Processor time of each side's process, all threads. The vectors, and the models to score with, are what riverrun's
chain made of the flights; both sides read the same ones. That both wrote the same scores is checked.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle
from typing import Any, Final

from benchmarks.bare import score_hop as bare
from benchmarks.figures import Figure
from benchmarks.flight_pipeline import flights_pipeline
from benchmarks.lab import FIVE_STAGES, Lab, append_items, fold, stages
from benchmarks.rounds import Measured, Meter, in_turn, isolated, median_and_spread
from riverrun.launch.pipeline_schemas import schemas_of
from riverrun.models.publishing import open_version
from riverrun.models.store import ModelStore
from riverrun.pipeline import Pipeline
from riverrun.records.avro import fullname, parsed
from riverrun.records.framing import frame_header
from riverrun.records.items import ModelVersion, Vector
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.model_settings import code_modules, model_keys
from riverrun.runtime.ports import TopicSpec
from schemas import current

PIPELINE: Final = "score-hop"
_SNAPSHOT_EVERY: Final = 2_000
_WAIT_S: Final = 0.5


def measure(lab: Lab, events: int) -> Figure:
    """Measure; ``events`` flights have been published."""
    vectors = isolated(prepare, lab, events, 2 * lab.size.events)
    results = in_turn(
        [
            lambda number: isolated(riverrun_side, lab, vectors),
            lambda number: isolated(bare_side, lab, vectors, f"bare-predictions-{number}"),
        ],
        lab.size.rounds,
    )
    isolated(compare, lab, vectors, "bare-predictions-0")
    ratios = [ours.per_cpu_s / theirs.per_cpu_s for ours, theirs in results]
    value, spread = median_and_spread(ratios)
    last = results[-1]
    details = {
        "vectors": vectors,
        "riverrun_per_cpu_s": round(last[0].per_cpu_s),
        "bare_per_cpu_s": round(last[1].per_cpu_s),
    }
    return Figure("score_hop", value, spread, tuple(ratios), details=details)


def _pipeline() -> Pipeline:
    return replace(flights_pipeline(PIPELINE), snapshot_every=_SNAPSHOT_EVERY)


def prepare(lab: Lab, events: int, count: int) -> int:
    """Make ``count`` vectors, and trained models, of the flights; return how many vectors there are."""
    deployment = lab.connect(_pipeline())
    vectors = deployment.topology.names[Kind.VECTORS]
    fold(deployment, [stages(*FIVE_STAGES)], Meter(events))
    again = lab.connect(_pipeline())
    try:
        return _repeat(again, vectors, count)
    finally:
        again.log.close()


def _repeat(deployment: Deployment, topic: str, count: int) -> int:
    """Append the vectors anew, at positions of their own, until there are ``count``; return how many there are."""
    records, wire = deployment.log.tail(topic, 0, 1 << 30), deployment.wire
    vectors = [item for record in records if isinstance(item := wire.item(record), Vector)]
    again = (
        replace(vector, seq=position, event_seq=vector.event_seq + position, payload=b"")
        for position, vector in zip(range(len(vectors), count), cycle(vectors), strict=False)
    )
    append_items(deployment, Kind.VECTORS, 0, again)
    return max(len(vectors), count)


def riverrun_side(lab: Lab, vectors: int) -> Measured:
    """Run the score stage by itself over all vectors."""
    deployment = lab.connect(_pipeline())
    names = deployment.topology.names
    lab.drop_topics(names[Kind.PREDICTIONS], names[Kind.PROGRESS])
    return fold(deployment, [stages("score")], Meter(vectors))


def bare_side(lab: Lab, vectors: int, topic: str) -> Measured:
    """Run the hand-written hop over all vectors."""
    pipeline = _pipeline()
    deployment = lab.connect(pipeline)
    deployment.log.ensure_topics([TopicSpec(topic, 1)])
    schema = current("prediction")
    settings = bare.HopSettings(
        kafka=lab.kafka,
        vectors=deployment.topology.names[Kind.VECTORS],
        predictions=topic,
        features=pipeline.feature_names,
        vector_schema=parsed(schemas_of(pipeline).vector.schema),
        prediction_schema=parsed(schema),
        prediction_frame=frame_header(deployment.ids.id_of(fullname(schema), schema)),
    )
    models = _published(deployment)
    deployment.log.close()
    meter = Meter(vectors)
    bare.run(settings, models, meter.at)
    return meter.result()


def _published(deployment: Deployment) -> list[tuple[str, int, Any]]:
    """Return the newest version of every model, as a scorer that runs apart loads them."""
    pipeline, settings = deployment.pipeline, deployment.settings
    newest: dict[str, ModelVersion] = {}
    for record in deployment.log.tail(deployment.topology.names[Kind.MODELS], 0, 1 << 30):
        item = deployment.wire.item(record)
        if isinstance(item, ModelVersion):
            newest[item.model] = item
    store, keys = ModelStore(settings.model_store_url), model_keys(settings.data_folder)
    found = []
    for model in pipeline.models:
        version = newest[model.name]
        estimator = open_version(version, pipeline.name, store, keys, code_modules(pipeline))
        found.append((model.name, version.position, estimator))
    return found


def compare(lab: Lab, vectors: int, topic: str) -> None:
    """Check that both sides have written the same predictions.

    Raises
    ------
    RuntimeError
        If they have not.
    """
    deployment = lab.connect(_pipeline())
    written = []
    for name in (deployment.topology.names[Kind.PREDICTIONS], topic):
        reader = deployment.log.reader(name, 0, 0)
        values: list[bytes | None] = []
        while len(values) < vectors:
            records = reader.poll(5_000, _WAIT_S)
            if not records and reader.at_end:
                break
            values += [record.value for record in records]
        reader.close()
        written.append(values)
    deployment.log.close()
    if written[0] != written[1]:
        raise RuntimeError(f"the two hops wrote different predictions ({len(written[0])} and {len(written[1])})")
