"""Timers in event time, against a naive model."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from riverrun.runtime.expiring import ExpiringMap
from riverrun.runtime.keyed_state import KeyedState
from riverrun.testing.key_value import MemoryKeyValueStore

KEYS = st.binary(min_size=1, max_size=2)
# Buckets are a second: small numbers fall into one, large ones into many, negative ones before 1970.
TIMES = st.integers(-3_000, 9_000) | st.integers(-(10**9), 10**12)

HORIZONS = st.sampled_from([10_000, 10_000, 200_000])


class ExpiringAgainstDict(RuleBasedStateMachine):
    """Puts, deletes, expiries, flushes, reloads and kills, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryKeyValueStore()
        self.model: dict[bytes, tuple[int, bytes]] = {}
        self.stored: dict[bytes, tuple[int, bytes]] = {}
        self.watermark = -(10**10)
        self.open(10_000)

    def open(self, horizon_ms: int) -> None:
        self.state = KeyedState(self.store, cache_bytes=500)
        self.map = ExpiringMap(self.state, b"x", horizon_ms=horizon_ms)
        self.neighbour = ExpiringMap(self.state, b"y", horizon_ms=10_000)
        self.state.load()

    @rule(key=KEYS, value=st.binary(max_size=3), deadline=TIMES)
    def put(self, key: bytes, value: bytes, deadline: int) -> None:
        self.map.put(key, value, deadline)
        self.neighbour.put(key, b"other", 10**13)
        self.model[key] = (deadline, value)

    @rule(key=KEYS, value=st.binary(max_size=3), ahead=st.integers(-1_500, 3_000))
    def put_near_the_watermark(self, key: bytes, value: bytes, ahead: int) -> None:
        self.put(key, value, self.watermark + ahead)

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        self.map.delete(key)
        self.model.pop(key, None)

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        deadline, value = self.model.get(key, (None, None))
        assert (self.map.deadline(key), self.map.get(key)) == (deadline, value)

    def check_expiry(self, watermark: int) -> None:
        self.watermark = max(self.watermark, watermark)
        due = sorted((deadline, key) for key, (deadline, _) in self.model.items() if deadline < watermark)
        assert self.map.expire(watermark) == [(key, self.model.pop(key)[1]) for _, key in due]
        assert self.neighbour.expire(watermark) == []

    @rule(watermark=TIMES)
    def expire(self, watermark: int) -> None:
        self.check_expiry(watermark)

    @rule(ahead=st.integers(1, 2_500))
    def advance(self, ahead: int) -> None:
        self.check_expiry(self.watermark + ahead)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), beyond=st.integers(0, 1))
    def expire_at_a_deadline(self, data: st.DataObject, beyond: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.model)))
        self.check_expiry(self.model[key][0] + beyond)

    @rule()
    def flush(self) -> None:
        self.state.flush({})
        self.stored = dict(self.model)

    @rule(horizon_ms=HORIZONS)
    def reload(self, horizon_ms: int) -> None:
        self.flush()
        self.store = self.store.copy()
        self.open(horizon_ms)

    @rule(horizon_ms=HORIZONS)
    def kill(self, horizon_ms: int) -> None:
        self.store = self.store.copy()
        self.model = dict(self.stored)
        self.open(horizon_ms)

    @invariant()
    def empty_is_never_wrong(self) -> None:
        assert not (self.map.empty and self.model)


ExpiringAgainstDict.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestExpiringAgainstDict = ExpiringAgainstDict.TestCase


def test_passed_buckets_leave_nothing_behind() -> None:
    """Once everything has expired, the store holds neither values nor timers."""
    store = MemoryKeyValueStore()
    state = KeyedState(store)
    waiting = ExpiringMap(state, b"x", horizon_ms=60_000)
    for number in range(500):
        waiting.put(b"%d" % number, b"value", number * 300)
        if number % 50 == 0:
            state.flush({})
    state.flush({})
    assert len(waiting.expire(200_000)) == 500
    state.flush({})
    assert list(store.scan(b"x")) == []
    assert waiting.empty


def test_a_flush_writes_what_is_new() -> None:
    """Timers are written once: a flush without changes in between adds nothing."""
    store = MemoryKeyValueStore()
    state = KeyedState(store)
    waiting = ExpiringMap(state, b"x", horizon_ms=60_000)
    waiting.put(b"a", b"value", 1_000)
    state.flush({})
    before = list(store.scan(b"x"))
    state.flush({})
    assert list(store.scan(b"x")) == before
