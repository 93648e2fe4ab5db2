"""The labels stage against an independent, naive one, with kills and reloads between any two items."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.records.items import Event, Example, Item, Prediction
from riverrun.runtime.keyed_state import KeyedState
from riverrun.testing.key_value import MemoryKeyValueStore
from services.labels.core import LabelsCore
from services.labels.rule import LabelRule
from tests.labels.made import TOPIC, JsonCodec, event, prediction, rule
from tests.labels.naive import Ending, NaiveLabels

PREDICTIONS, EVENTS = f"{TOPIC}/0/0", "p.events/0/0"
HAPPENINGS = st.lists(
    st.tuples(
        st.sampled_from(["scheduled", "scheduled", "arrived", "arrived", "weather"]),
        st.sampled_from(["UA1", "UA2", "a key longer than the thirty-two bytes that are kept plain"]),
        st.integers(-500, 2_500) | st.integers(-9_000, 9_000),
        st.sampled_from([0, 1, 1.5, None]),
        st.sampled_from(["", "", "", "flush", "kill"]),
    ),
    max_size=50,
)
RULES = st.builds(
    rule,
    stream=st.sampled_from(["arrived", "arrived", "scheduled"]),
    wait_ms=st.sampled_from([0, 1_000, 5_000]),
    otherwise=st.sampled_from([None, 0.0]),
)

RECURRING = st.builds(rule, stream=st.sampled_from(["arrived", "scheduled"]), recurring=st.just(True))


class Harness:
    """Runs a core as the runtime does: flushes trail, and after a kill the log is replayed and the commit
    resumed.
    """

    def __init__(self, label_rule: LabelRule) -> None:
        self.rule = label_rule
        self.store = MemoryKeyValueStore()
        self.log: list[Prediction | Event] = []
        self.next = {PREDICTIONS: 0, EVENTS: 0}
        self.open()
        self.state.load()

    def open(self) -> None:
        self.state = KeyedState(self.store, cache_bytes=2_000)
        self.core = LabelsCore(self.rule, self.state, JsonCodec(), topic=TOPIC, partition=0)

    def step(self, item: Prediction | Event) -> list[Ending]:
        self.log.append(item)
        self.next[PREDICTIONS if isinstance(item, Prediction) else EVENTS] += 1
        return endings(self.core.step(item))

    def flush(self) -> None:
        self.state.flush(self.next)

    def kill(self) -> None:
        committed, watermark = dict(self.core.counters()), self.core.watermark
        self.store = self.store.copy()
        self.open()
        self.state.load()
        # From the start of the log, not from the state's position: a core must know what it has folded.
        for item in self.log:
            self.core.replay(item)
        replayed = self.core.watermark
        self.core.resume(committed, watermark)
        assert (self.core.missing, replayed) == (0, watermark)


def endings(outputs: object) -> list[Ending]:
    assert isinstance(outputs, list | tuple)
    examples: list[Item] = list(outputs)
    return [(e.id, e.outcome, e.label, e.label_time) for e in examples if isinstance(e, Example)]


def check_ledger(counts: Mapping[str, int]) -> None:
    ended = counts["labelled"] + counts["defaulted"] + counts["expired"]
    assert counts["predictions"] == ended + counts["pending"]
    assert min(counts.values()) >= 0


@settings(max_examples=150, deadline=None)
@given(label_rule=RULES, happenings=HAPPENINGS)
def test_it_does_what_the_naive_one_does(
    label_rule: LabelRule, happenings: list[tuple[str, str, int, float | None, str]]
) -> None:
    """Same outputs, same order, same counts; the ledger balances after every item; each prediction ends
    once.
    """
    harness, naive = Harness(label_rule), NaiveLabels(label_rule)
    time, predicted = 10_000, 0
    ended: list[str] = []
    for seq, (stream, key, ahead, delay, then) in enumerate(happenings):
        time = max(time, time + ahead // 4)
        if stream == "scheduled":
            made = prediction(predicted, key, time + ahead, event_seq=seq)
            predicted += 1
            outputs = harness.step(made)
            assert outputs == naive.predict(made)
            ended += [name for name, outcome, *_ in outputs if outcome != "revised"]
            check_ledger(harness.core.counters())
        happened = event(seq, stream, key, time + ahead, delay)
        outputs = harness.step(happened)
        assert outputs == naive.happen(happened)
        ended += [name for name, outcome, *_ in outputs if outcome != "revised"]
        counts = harness.core.counters()
        check_ledger(counts)
        assert {name: count for name, count in counts.items() if count and name != "pending"} == +naive.counts
        if then == "flush":
            harness.flush()
        elif then == "kill":
            harness.kill()
    ended += [name for name, *_ in harness.step(event(len(happenings), "weather", "", 10**9))]
    assert sorted(ended) == sorted(f"id-{seq}" for seq in range(predicted))
    assert harness.core.counters()["pending"] == 0


@settings(max_examples=40, deadline=None)
@given(label_rule=RULES | RECURRING, happenings=HAPPENINGS)
def test_nothing_is_left_behind(
    label_rule: LabelRule, happenings: list[tuple[str, str, int, float | None, str]]
) -> None:
    """Whatever the rule, the ledger balances, and in the end the store holds a few numbers alone."""
    harness = Harness(label_rule)
    predicted = 0
    for seq, (stream, key, ahead, delay, then) in enumerate(happenings):
        if stream == "scheduled":
            harness.step(prediction(predicted, key, 10_000 + ahead, event_seq=seq))
            predicted += 1
        harness.step(event(seq, stream, key, 10_000 + ahead, delay))
        check_ledger(harness.core.counters())
        if then:
            harness.flush()
    for number, later in enumerate((10**7, 10**8, 10**9)):
        harness.step(event(len(happenings) + number, "weather", "", later))
    harness.flush()
    assert harness.core.counters()["pending"] == 0
    assert [key for key, _ in harness.store.scan(b"")] == [b"\x00positions", b"m"]
