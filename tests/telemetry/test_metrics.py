"""Metrics: defined once, counted by batch, and exposed as Prometheus reads them."""

from __future__ import annotations

import re
from collections import Counter as Count
from math import inf, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.runtime import metrics
from riverrun.runtime.degradations import Degradation
from riverrun.runtime.meter import Distribution, Histogram, Meter, Sample
from riverrun.runtime.metrics import METRICS, Kind, MetricDefinition
from riverrun.telemetry.collecting import collect
from riverrun.telemetry.exposition import exposition
from tests.runtime.worlds import MemoryWorld, messages
from tests.telemetry.worlds import WALL, Watched, watched

Series = dict[tuple[str, ...], float]
_LINE = re.compile(r"(?P<name>[a-z_:]+)(?:\{(?P<labels>.*)\})? (?P<value>[^ ]+)")
_LABEL = re.compile(r'([a-zA-Z_]+)="((?:[^"\\]|\\.)*)"(?:,|$)')
_NUMBERS = st.floats(-1e9, 1e9, allow_nan=False)


def parsed(text: str) -> list[tuple[str, dict[str, str], float]]:
    """Read the text format as its specification says: name, labels with escapes, value."""
    rows = []
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        assert found is not None, line
        inside = found["labels"] or ""
        pairs = _LABEL.findall(inside)
        assert "".join(f'{name}="{value}",' for name, value in pairs).rstrip(",") == inside
        labels = {
            name: re.sub(r"\\(.)", lambda each: {"n": "\n"}.get(each[1], each[1]), value) for name, value in pairs
        }
        rows.append((found["name"], labels, float(found["value"])))
    return rows


def test_every_metric_is_defined_properly() -> None:
    """Names are unique and of Prometheus's form, counters end in _total, and each says what it tells and what to do."""
    names = [metric.name for metric in METRICS]
    defined = {value for value in vars(metrics).values() if isinstance(value, MetricDefinition)}
    assert len(set(names)) == len(names)
    assert set(METRICS) == defined
    for metric in METRICS:
        assert re.fullmatch(r"riverrun_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert metric.tells.endswith(".")
        assert metric.advice.endswith((".", "?"))
        assert (metric.kind is Kind.HISTOGRAM) == bool(metric.buckets)
        assert list(metric.buckets) == sorted(set(metric.buckets))


@given(st.lists(_NUMBERS), st.lists(_NUMBERS, min_size=1, unique=True).map(sorted))
def test_a_histogram_counts_each_value_once(values: list[float], bounds: list[float]) -> None:
    """Each value is in the first bucket whose bound is not below it; sum and extremes are those of the values."""
    histogram = Histogram(bounds)
    for value in values:
        histogram.observe(value)
    read = histogram.read()
    buckets = Count(next((n for n, bound in enumerate(bounds) if value <= bound), len(bounds)) for value in values)
    assert read.counts == tuple(buckets[number] for number in range(len(bounds) + 1))
    assert isclose(read.total, sum(values), abs_tol=1e-3)
    assert (read.least, read.most) == ((min(values), max(values)) if values else (0.0, 0.0))


@given(st.text(), st.text(), _NUMBERS, st.lists(st.integers(0, 9), min_size=17, max_size=17))
def test_what_is_exposed_reads_back(chain: str, partition: str, value: float, counts: list[int]) -> None:
    """Any label text and number survives the text format, and a histogram's buckets add up as its readers expect."""
    gauge = Sample(metrics.LAG, (chain, partition), value)
    histogram = Sample(metrics.BATCH_SECONDS, (chain,), Distribution(tuple(counts), value))
    rows = parsed(exposition([gauge, histogram], {"pipeline": "p"}))
    assert rows[0] == (metrics.LAG.name, {"pipeline": "p", "chain": chain, "partition": partition}, value)
    name = metrics.BATCH_SECONDS.name
    buckets = [(float(labels["le"]), count) for each, labels, count in rows if each == f"{name}_bucket"]
    assert [bound for bound, _ in buckets] == [*metrics.BATCH_SECONDS.buckets, inf]
    assert [count for _, count in buckets] == [sum(counts[: number + 1]) for number in range(len(counts))]
    assert rows[-2:] == [
        (f"{name}_sum", {"pipeline": "p", "chain": chain}, value),
        (f"{name}_count", {"pipeline": "p", "chain": chain}, sum(counts)),
    ]


def test_a_series_must_be_what_its_metric_is() -> None:
    """A counter where a histogram is defined, or too few labels, is refused at once."""
    meter = Meter()
    with pytest.raises(TypeError, match="is a histogram"):
        meter.counter(metrics.BATCH_SECONDS, "ingest")
    with pytest.raises(TypeError, match="dependency"):
        meter.counter(metrics.RETRIES)


def series(member: Watched, metric: MetricDefinition) -> Series:
    """Return a metric's series as they are now."""
    found = {}
    for sample in collect(member.worker, member.deployment):
        if sample.metric is metric:
            found[sample.labels] = sum(sample.value.counts) if isinstance(sample.value, Distribution) else sample.value
    return found


def test_versions_in_use_are_a_gauge_and_no_count(memory: MemoryWorld) -> None:
    """What a scorer remembers of them in its commit records is no series: it would have a new name with every file."""
    sent, apart = messages(60), "ingest features score labels learn"
    memory.publish(sent[:50])
    memory.run(apart)
    member = watched(memory, apart)
    memory.publish(sent[50:])
    memory.settle(member.worker)
    assert any(name.startswith("used:") for name in memory.progress("score").counters)
    names = {count for stage, _, count in series(member, metrics.FOLDED) if stage == "score"}
    assert names == {"predictions", "models_read"}
    assert max(series(member, metrics.MODEL_VERSION).values()) > 0
    member.worker.leave()


def test_a_run_is_counted_as_its_topics_tell(memory: MemoryWorld) -> None:
    """Records in and out, dead letters by reason and versions in use are those of the log; every series is defined."""
    memory.publish(messages(60))
    member = watched(memory)
    memory.settle(member.worker)
    progress = memory.progress("ingest")
    raw = sum(place.next for place in progress.inputs)
    assert series(member, metrics.RECORDS_IN)["ingest", "0"] == raw > 60
    out = series(member, metrics.RECORDS_OUT)
    for stage in ("ingest", "features", "score", "labels"):
        for topic, written in memory.progress(stage).outputs.items():
            assert out[stage, "0", topic] == written
    dead = {name.removeprefix("dead:"): n for name, n in progress.counters.items() if name.startswith("dead:")}
    assert series(member, metrics.DEAD_LETTERS) == {("0", reason): count for reason, count in dead.items()}
    assert dead
    folded = series(member, metrics.FOLDED)
    assert folded["ingest", "0", "accepted"] == progress.counters["accepted"]
    assert not any(count.startswith("dead:") for _, _, count in folded)
    learned = sum(place.next for place in memory.progress("learn").inputs)
    assert set(series(member, metrics.MODEL_VERSION).values()) == {learned}
    chain = "ingest+features+score+labels+learn"
    assert series(member, metrics.LAG) == {(chain, "0"): 0}
    assert series(member, metrics.PARTITIONS) == {(chain,): 1}
    assert series(member, metrics.RESTORE_SECONDS) == {(chain,): 1}
    assert series(member, metrics.REBALANCES) == {(chain,): 1}
    assert series(member, metrics.MEMORY)[()] > 1e6
    delay = WALL + memory.memory.now / 1000 - progress.watermark / 1000
    assert isclose(series(member, metrics.WATERMARK_DELAY)["ingest", "0"], delay)
    member.worker.leave()


def test_figures_are_there_before_the_first_batch(memory: MemoryWorld) -> None:
    """A member that takes over a silent stream tells at once what was folded before it came."""
    memory.publish(messages(20))
    memory.run()
    member = watched(memory)
    member.worker.round()
    told = series(member, metrics.RECORDS_IN)["ingest", "0"]
    assert told == sum(place.next for place in memory.progress("ingest").inputs) > 0
    assert series(member, metrics.BATCH_RECORDS).get((member.worker.tasks()[0].instruments.chain,), 0) == 0
    member.worker.leave()


def test_batches_and_samples_are_observed(memory: MemoryWorld) -> None:
    """Each transaction with records is one batch of that size; latencies are sampled, at most seventeen a batch."""
    memory.publish(messages(60))
    member = watched(memory, batch_limit=10)
    memory.settle(member.worker)
    chain = (member.worker.tasks()[0].instruments.chain,)
    batches = series(member, metrics.BATCH_RECORDS)[chain]
    (records,) = [
        sample.value for sample in collect(member.worker, member.deployment) if sample.metric is metrics.BATCH_RECORDS
    ]
    assert isinstance(records, Distribution)
    assert records.total == sum(task.folded for task in member.worker.tasks())
    assert (batches >= records.total / 10, records.most) == (True, 10)
    assert batches <= series(member, metrics.EVENT_TO_COMMIT)[chain] <= 17 * batches
    assert series(member, metrics.BATCH_SECONDS)[chain] == batches <= series(member, metrics.COMMIT_SECONDS)[chain]
    member.worker.leave()


def test_the_lag_counts_what_was_read_and_what_was_not(memory: MemoryWorld) -> None:
    """Records that wait in memory or in the log count as lag, until they are folded."""
    sent = messages(60)
    memory.publish(sent)
    member = watched(memory, batch_limit=5)
    member.worker.round()
    chain = member.worker.tasks()[0].instruments.chain
    folded = sum(task.folded for task in member.worker.tasks())
    assert series(member, metrics.LAG)[chain, "0"] == len(sent) - folded
    memory.settle(member.worker)
    assert series(member, metrics.LAG)[chain, "0"] == 0
    member.worker.leave()


def test_degradations_are_always_there(memory: MemoryWorld) -> None:
    """Every degradation has a series, 0 while all is well, so that an alert rule never waits for one to appear."""
    member = watched(memory)
    assert series(member, metrics.DEGRADED) == {(what.value,): 0.0 for what in Degradation}
    member.worker.leave()
