"""Duplicates within a horizon, against a list of all that was ever added."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.runtime.keyed_state import KeyedState
from riverrun.runtime.seen_ids import SeenIds
from riverrun.testing.key_value import MemoryKeyValueStore

HORIZON = 5_000
ARRIVALS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c" * 40, ""]),
        st.integers(0, 20_000),
        st.sampled_from(["", "flush", "reload"]),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(ARRIVALS)
def test_seen_means_added_and_not_passed_by_the_watermark(arrivals: list[tuple[str, int, str]]) -> None:
    """An id is a duplicate just while neither the watermark nor its own time is beyond the horizon, which
    begins at the watermark that the first one of it left behind.
    """
    store = MemoryKeyValueStore()
    state = KeyedState(store)
    ids = SeenIds(state, horizon_ms=HORIZON)
    added: dict[str, int] = {}
    watermark = 0
    for event_id, time, then in arrivals:
        first = added.get(event_id)
        seen = first is not None and max(watermark, time) <= first + HORIZON
        assert ids.seen(event_id, time) == seen
        if not seen:
            ids.add(event_id, time)
            watermark = added[event_id] = max(watermark, time)
        if then:
            state.flush({})
        if then == "reload":
            state = KeyedState(store)
            ids = SeenIds(state, horizon_ms=HORIZON)
            state.load()
