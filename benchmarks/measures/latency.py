"""``latency`` and ``freshness``: what a read-committed consumer sees while events come at a steady rate.

``latency`` is from the broker's append of a flight's announcement to its prediction in the consumer's hands; for the
bare loop, the chain, and the five stages as separate services. ``freshness`` is from the append of the event that
brings a label to the first prediction by a model that has learned from it. Both are times on the wall.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.bare import chained as bare
from benchmarks.figures import Figure
from benchmarks.flight_pipeline import FRESH_EVERY, flights_pipeline, fresh_flights_pipeline
from benchmarks.flights import publish_flights, publish_steadily
from benchmarks.lab import APART, FIVE_STAGES, Lab
from benchmarks.measures.chained import bare_settings
from benchmarks.percentiles import percentile
from benchmarks.processes import COPIED
from benchmarks.rounds import in_turn, isolated, median_and_spread
from benchmarks.service import await_, services
from examples.flights.arrivals import Watch, appended
from riverrun.adapters.kafka_log import KafkaLog
from riverrun.records.headers import Stamp
from riverrun.records.items import LABELLED, Example, Item, ModelVersion, Prediction, Source
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.ports import TopicSpec

RATE: Final = 1_000.0
_WARM_UP: Final = 4_000
"""Flights that are published before the steady part."""
_SECONDS: Final = 12
_WARM_UP_MS: Final = 5_000
"""What comes in the first seconds is not counted: programs that have just started are not yet what they will be."""
_ANNOUNCED: Final = "flights.scheduled"
_LABELS: Final = "flights.arrived"
_P50_MS: Final = 10.0
_P99_SEPARATE_MS: Final = 150.0
_FRESH_S: Final = 1.0
_LEARNED_LOOK_S: Final = 0.25
_NO_STAMP: Final = Stamp(0, -1, Source("", 0, -1))


@dataclass(frozen=True, slots=True)
class Seen:
    """What one run showed: latencies in milliseconds and freshness in seconds."""

    latency_ms: list[float]
    fresh_s: list[float]

    @property
    def p50(self) -> float:
        """Median latency."""
        return percentile(self.latency_ms, 0.5)

    @property
    def p99(self) -> float:
        """Nearly the worst latency."""
        return percentile(self.latency_ms, 0.99)


def measure(lab: Lab, half_of_saturation: float) -> tuple[Figure, Figure]:
    """Measure both figures.

    Parameters
    ----------
    lab
        The lab.
    half_of_saturation
        Events a second of the second part.
    """
    if APART not in lab.seen:
        # Not counted: while the broker's compiler learns what they ask of it, it takes half a processor or more.
        _Run(lab, "latency-warm-up", "separate", RATE).measure()
    layouts = {
        "chained": ("chained", RATE),
        "bare": ("bare", RATE),
        "separate": ("separate", RATE),
        "half": ("chained", half_of_saturation),
    }
    if lab.size.name == "full":
        layouts["bare_at_half"] = ("bare", half_of_saturation)

    def side(name: str) -> Callable[[int], Seen]:
        return lambda number: _Run(lab, f"latency-{name}-{number}", *layouts[name]).measure()

    rounds = in_turn([side(name) for name in layouts], 1 if lab.size.name == "quick" else lab.size.rounds)
    runs = {name: [each[index] for each in rounds] for index, name in enumerate(layouts)}
    p99 = [seen.p99 for seen in runs["chained"]]
    value, spread = median_and_spread(p99)
    medians = {kind: (_middle([s.p50 for s in seen]), _middle([s.p99 for s in seen])) for kind, seen in runs.items()}
    parts = {
        "chained_p50_ms": (medians["chained"][0], _P50_MS),
        "separate_p99_ms": (medians["separate"][1], _P99_SEPARATE_MS),
        "half_of_saturation_p99_ms": (medians["half"][1], 50.0),
    }
    details = {kind: {"p50_ms": round(p50, 1), "p99_ms": round(high, 1)} for kind, (p50, high) in medians.items()}
    latency = Figure(
        "latency", value, spread, tuple(p99), parts, {**details, "half_of_saturation_per_s": round(half_of_saturation)}
    )
    fresh = [percentile(seen.fresh_s, 0.99) for seen in runs["chained"]]
    apart = [percentile(seen.fresh_s, 0.99) for seen in runs["separate"] if seen.fresh_s]
    value, spread = median_and_spread(fresh)
    separate = {"separate_p99_s": (_middle(apart), _FRESH_S)} if apart else {}
    return latency, Figure("freshness", value, spread, tuple(fresh), separate, {"published_every": FRESH_EVERY})


def _middle(values: Sequence[float]) -> float:
    return median_and_spread(values)[0]


class _Run:
    """One layout of the pipeline, catching up with what is published and then kept at a steady rate.

    Each run has the producers' topics made anew, and so begins with the same flights as the others.
    """

    def __init__(self, lab: Lab, name: str, kind: str, rate: float) -> None:
        self._lab = lab
        self._name = name
        self._kind = kind
        isolated(publish_flights, lab, _WARM_UP)
        self._rate = rate
        self._make = fresh_flights_pipeline if kind == "separate" else flights_pipeline
        self._deployment = lab.connect(self._make(name))
        self._log = KafkaLog(lab.kafka)

    @property
    def _predictions(self) -> str:
        names = self._deployment.topology.names
        return f"{self._name}.by-hand.predictions" if self._kind == "bare" else names[Kind.PREDICTIONS]

    def measure(self) -> Seen:
        """Run it; return what was seen."""
        log, count = self._log, int(self._rate * _SECONDS)
        if self._kind == "bare":
            topics = bare_settings(self._lab, self._deployment, f"{self._name}.by-hand").outputs.values()
            log.ensure_topics([TopicSpec(output.topic, 1) for output in topics])
        else:
            self._deployment.ensure_topics()
        with self._running():
            self._await_caught_up()
            if self._kind == "separate":
                self._await_learned()
            starts = {topic: log.high_watermark(topic, 0) for topic in (_ANNOUNCED, _LABELS)}
            watch = Watch(log, self._predictions)
            isolated(publish_steadily, self._lab, _WARM_UP, count, self._rate)
            self._await_caught_up()
            watch.close()
        announced = appended(log, _ANNOUNCED, starts[_ANNOUNCED])
        arrived: dict[bytes, float] = {}
        for now, key, _ in watch.seen:
            arrived.setdefault(key, now)
        start = min(announced.values()) + _WARM_UP_MS
        waits = [arrived[key] - at for key, at in announced.items() if key in arrived and at >= start]
        labelled = {key: at for key, at in appended(log, _LABELS, starts[_LABELS]).items() if at >= start}
        fresh = [] if self._kind == "bare" else self._freshness(watch, labelled)
        self._deployment.log.close()
        log.close()
        return Seen(waits, fresh)

    def _running(self) -> contextlib.AbstractContextManager[object]:
        if self._kind == "bare":
            return _bare_service(self._lab, self._name)
        apart = [[[stage]] for stage in FIVE_STAGES] if self._kind == "separate" else [[FIVE_STAGES]]
        return services(self._lab, self._make, self._name, apart)

    def _await_caught_up(self) -> None:
        """Wait until the newest announcement is predicted on: the last key of the raw topic is among the last ones."""
        log = self._log
        newest = {record.key for record in log.tail(_ANNOUNCED, 0, 40)}

        def caught_up() -> bool:
            return any(record.key in newest for record in log.tail(self._predictions, 0, 5))

        await_(f"{self._name} to catch up", caught_up)

    def _await_learned(self) -> None:
        """Wait until the newest models know nearly every example: by itself, a learner is behind at first."""
        names = self._deployment.topology.names

        def last(kind: Kind, count: int) -> Iterator[Item]:
            return map(self._deployment.wire.item, self._log.tail(names[kind], 0, count))

        def learned() -> bool:
            written = [item.seq for item in last(Kind.EXAMPLES, 5) if isinstance(item, Example)]
            known = [item.position for item in last(Kind.MODELS, 20) if isinstance(item, ModelVersion)]
            return bool(written and known) and max(known) + FRESH_EVERY > max(written)

        await_(f"{self._name} to learn what was published", learned, look_s=_LEARNED_LOOK_S)

    def _freshness(self, watch: Watch, labelled: dict[bytes, int]) -> list[float]:
        """Return, for each label, the seconds until a prediction by a model that has learned from it was there."""
        deployment, codecs = self._deployment, self._deployment.wire.codecs
        versions = []
        for now, _, value in watch.seen:
            item = codecs.decode(value, _NO_STAMP)
            if isinstance(item, Prediction):
                versions.append((now, item.scores[0].version))
        waits, at = [], 0
        for position, key in _examples(deployment):
            if key not in labelled:
                continue
            while at < len(versions) and versions[at][1] <= position:
                at += 1
            if at < len(versions):
                waits.append(max(0.0, versions[at][0] - labelled[key]) / 1000)
            elif versions and (waited := (versions[-1][0] - labelled[key]) / 1000) > _FRESH_S:
                # No prediction knew of it until the last one: it took so long at least.
                waits.append(waited)
        return waits


def _examples(deployment: Deployment) -> Iterator[tuple[int, bytes]]:
    """Yield position and key of all labelled examples, in their order."""
    for record in deployment.log.tail(deployment.topology.names[Kind.EXAMPLES], 0, 1 << 30):
        item = deployment.wire.item(record)
        if isinstance(item, Example) and item.outcome == LABELLED:
            yield item.seq, item.key.encode()


@contextlib.contextmanager
def _bare_service(lab: Lab, name: str) -> Iterator[None]:
    process = COPIED.Process(target=serve_bare, args=(lab, name))
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def serve_bare(lab: Lab, name: str) -> None:
    """Run the hand-written loop until killed, which it survives as riverrun does."""
    deployment = lab.connect(flights_pipeline(name))
    settings = bare_settings(lab, deployment, f"{name}.by-hand")
    models = {model.name: model.build() for model in deployment.pipeline.models}
    bare.run(settings, models, lambda done: False)
