"""The labels stage's rules, one by one."""

from __future__ import annotations

from collections.abc import Sequence

from riverrun.records.items import Example, Item, ModelScore, Source
from riverrun.runtime.keyed_state import KeyedState
from riverrun.testing.key_value import MemoryKeyValueStore
from services.labels.core import COUNTERS, LabelsCore
from services.labels.rule import LabelRule
from tests.labels.made import TOPIC, WAIT, JsonCodec, delay_of, event, prediction, rule


def core_of(label_rule: LabelRule, codec: JsonCodec | None = None) -> LabelsCore:
    state = KeyedState(MemoryKeyValueStore())
    state.load()
    return LabelsCore(label_rule, state, codec or JsonCodec(), topic=TOPIC, partition=3)


def endings(outputs: Sequence[Item]) -> list[tuple[str, str, float | None, int]]:
    return [(item.id, item.outcome, item.label, item.label_time) for item in outputs if isinstance(item, Example)]


def counted(core: LabelsCore) -> dict[str, int]:
    return {name: count for name, count in core.counters().items() if count}


def test_an_example_carries_what_was_served() -> None:
    """Vector, scores, key and time are the prediction's; the source is its place; the label time the
    event's.
    """
    core = core_of(rule())
    assert core.step(prediction(7, "UA1", 1_000)) == ()
    (example,) = core.step(event(0, "arrived", "UA1", 4_000, 12.5))
    assert example == Example(
        id="id-7",
        key="UA1",
        time=1_000,
        outcome="labelled",
        label=12.5,
        label_time=4_000,
        scores=(ModelScore("champion", 7, 0.7), ModelScore("challenger", 7, 0.5)),
        vector=b"vector-7",
        source=Source(TOPIC, 3, 7),
    )
    assert counted(core) == {"predictions": 1, "labelled": 1}
    assert core.watermark == 4_000


def test_a_label_at_the_deadline_is_in_time() -> None:
    """A label whose own time is just the end of the wait labels, though it moves the watermark there
    itself.
    """
    core = core_of(rule())
    core.step(prediction(0, "UA1", 1_000))
    outputs = core.step(event(0, "arrived", "UA1", 1_000 + WAIT, 1))
    assert endings(outputs) == [("id-0", "labelled", 1.0, 1_000 + WAIT)]


def test_a_label_beyond_the_deadline_ends_its_own_prediction_first() -> None:
    """A millisecond later the label moves the watermark beyond the wait, and is late for what it ends."""
    core = core_of(rule())
    core.step(prediction(0, "UA1", 1_000))
    outputs = core.step(event(0, "arrived", "UA1", 1_001 + WAIT, 1))
    assert endings(outputs) == [("id-0", "expired", None, 1_000 + WAIT)]
    assert counted(core) == {"predictions": 1, "expired": 1, "late": 1}


def test_a_label_of_that_time_is_late_once_another_event_was_beyond() -> None:
    """The log's order decides: when the watermark is beyond the wait, a label from before is too late."""
    core = core_of(rule(otherwise=0.0))
    core.step(prediction(0, "UA1", 1_000))
    assert endings(core.step(event(0, "scheduled", "XX", 1_001 + WAIT))) == [("id-0", "defaulted", 0.0, 1_000 + WAIT)]
    assert core.step(event(1, "arrived", "UA1", 2_000, 1)) == []
    assert counted(core) == {"predictions": 1, "defaulted": 1, "late": 1}


def test_an_overdue_prediction_ends_with_the_next_event() -> None:
    """A prediction for an event that was late itself waits for nothing more than the next event."""
    core = core_of(rule())
    core.step(event(0, "scheduled", "XX", 60_000))
    assert core.step(prediction(0, "UA1", 1_000, event_seq=1)) == ()
    assert endings(core.step(event(1, "scheduled", "UA1", 1_000))) == [("id-0", "expired", None, 1_000 + WAIT)]


def test_waits_end_by_deadline_then_position() -> None:
    """What one event ends comes in the order of deadlines, and of positions where those are equal."""
    core = core_of(rule())
    for seq, time in enumerate([3_000, 1_000, 2_000, 1_000]):
        core.step(prediction(seq, f"UA{seq}", time))
    outputs = core.step(event(0, "scheduled", "XX", 60_000))
    assert [name for name, *_ in endings(outputs)] == ["id-1", "id-3", "id-2", "id-0"]


def test_a_label_ends_all_predictions_of_its_key() -> None:
    """Several predictions for one flight are all labelled, in their order; others are not."""
    core = core_of(rule())
    for seq, key in enumerate(["UA1", "UA2", "UA1"]):
        core.step(prediction(seq, key, 1_000))
    assert [name for name, *_ in endings(core.step(event(0, "arrived", "UA1", 2_000, 1)))] == ["id-0", "id-2"]
    assert counted(core) == {"predictions": 3, "labelled": 2, "pending": 1}


def test_an_early_label_is_kept_for_the_wait() -> None:
    """A label that comes first labels what comes within its time + wait, at once."""
    core = core_of(rule())
    core.step(event(0, "arrived", "UA1", 1_000, 9))
    core.step(event(1, "scheduled", "XX", 1_000 + WAIT))
    assert endings(core.step(prediction(0, "UA1", 900))) == [("id-0", "labelled", 9.0, 1_000)]
    core.step(event(2, "scheduled", "XX", 1_001 + WAIT))
    core.step(prediction(1, "UA1", 6_000))
    assert counted(core) == {"predictions": 2, "labelled": 1, "pending": 1, "early": 1}


def test_an_early_label_that_nobody_needed_is_counted() -> None:
    """When its time is over, or was so when it came, it is unmatched."""
    core = core_of(rule())
    core.step(event(0, "arrived", "UA1", 1_000, 9))
    core.step(event(1, "scheduled", "XX", 60_000))
    assert counted(core) == {"early": 1, "unmatched": 1}
    core.step(event(2, "arrived", "UA2", 1_000, 9))
    assert counted(core) == {"early": 1, "unmatched": 2}


def test_an_early_label_beyond_the_wait_is_not_taken() -> None:
    """A label that would have been too late for a prediction is so too if it comes before it."""
    core = core_of(rule())
    core.step(event(0, "arrived", "UA1", 1_001 + WAIT, 9))
    assert core.step(prediction(0, "UA1", 1_000)) == ()
    assert endings(core.step(event(1, "scheduled", "XX", 0))) == [("id-0", "expired", None, 1_000 + WAIT)]
    assert endings(core.step(prediction(1, "UA1", 1_001))) == [("id-1", "labelled", 9.0, 1_001 + WAIT)]


def test_an_early_label_that_was_used_is_not_unmatched() -> None:
    """Nor is the later label that took its place."""
    core = core_of(rule())
    core.step(event(0, "arrived", "UA1", 1_000, 9))
    core.step(prediction(0, "UA1", 900))
    assert endings(core.step(event(1, "arrived", "UA1", 2_000, 8))) == [("id-0", "revised", 8.0, 2_000)]
    core.step(event(2, "scheduled", "XX", 60_000))
    assert counted(core) == {"predictions": 1, "labelled": 1, "early": 1, "revised": 1}


def test_a_late_comer_does_not_replace_an_early_label() -> None:
    """A label whose own time + wait is over when it comes changes nothing for later predictions."""
    core = core_of(rule())
    core.step(event(0, "arrived", "UA1", 9_000, 9))
    core.step(event(1, "arrived", "UA1", 3_999, 8))
    assert endings(core.step(prediction(0, "UA1", 8_000))) == [("id-0", "labelled", 9.0, 9_000)]


def test_an_early_label_replaced_before_its_use_is_one() -> None:
    """The later of two labels counts; the two are one early label, and one unmatched if nobody comes."""
    core = core_of(rule())
    for key in ("UA1", "UA2"):
        core.step(event(0, "arrived", key, 1_000, 9))
        core.step(event(1, "arrived", key, 2_000, 8))
    assert endings(core.step(prediction(0, "UA2", 900))) == [("id-0", "labelled", 8.0, 2_000)]
    core.step(event(2, "scheduled", "XX", 60_000))
    assert counted(core) == {"predictions": 1, "labelled": 1, "early": 2, "unmatched": 1}


def test_a_different_label_is_a_revision_the_same_is_not() -> None:
    """The example of a revision has the new label and all else as served; it does not touch the ledger."""
    core = core_of(rule())
    core.step(prediction(0, "UA1", 1_000))
    core.step(event(0, "arrived", "UA1", 2_000, 1))
    assert core.step(event(1, "arrived", "UA1", 2_500, 1)) == []
    (revised,) = core.step(event(2, "arrived", "UA1", 3_000, 2))
    assert isinstance(revised, Example)
    assert (revised.outcome, revised.label, revised.label_time, revised.vector) == (
        "revised",
        2.0,
        3_000,
        b"vector-0",
    )
    assert core.step(event(3, "arrived", "UA1", 3_500, 2)) == []
    assert counted(core) == {"predictions": 1, "labelled": 1, "repeated": 2, "revised": 1}


def test_a_revision_is_known_for_one_more_wait() -> None:
    """After that the prediction is forgotten, and a label counts as early."""
    core = core_of(rule())
    core.step(prediction(0, "UA1", 1_000))
    core.step(event(0, "arrived", "UA1", 2_000, 1))
    core.step(event(1, "scheduled", "XX", 2_001 + WAIT))
    core.step(event(2, "arrived", "UA1", 7_000, 2))
    assert counted(core) == {"predictions": 1, "labelled": 1, "early": 1}


def test_labels_that_say_nothing_are_counted() -> None:
    """A missing label or join value labels nothing and is not kept; other streams are none of its
    business.
    """
    by_field = LabelRule("arrived", "flight", delay_of, WAIT, None)
    core = core_of(by_field)
    core.step(prediction(0, "UA1", 1_000))
    core.step(event(0, "arrived", "UA1", 1_000, None))
    core.step(event(1, "arrived", "UA1", 1_000, float("nan")))
    without = event(2, "arrived", "UA1", 1_000, 1)
    without.fields["flight"] = None
    core.step(without)
    core.step(event(3, "departed", "UA1", 1_000, 1))
    assert counted(core) == {"predictions": 1, "pending": 1, "ignored": 3}


def test_a_field_may_name_the_prediction() -> None:
    """Where the join field is not the label event's key, its value as text is compared with the prediction's
    key.
    """
    core = core_of(LabelRule("arrived", "flight", delay_of, WAIT, None))
    core.step(prediction(0, "1545", 1_000))
    label = event(0, "arrived", "another key", 1_000, 1)
    label.fields["flight"] = 1545
    assert endings(core.step(label)) == [("id-0", "labelled", 1.0, 1_000)]


def test_an_event_is_no_label_of_its_own_prediction() -> None:
    """When labels come from the stream that is predicted on, an event labels the predictions before it
    only.
    """
    core = core_of(rule(stream="reading"))
    core.step(prediction(0, "s1", 1_000, event_seq=0))
    assert core.step(event(0, "reading", "s1", 1_000, 5)) == []
    core.step(prediction(1, "s1", 2_000, event_seq=1))
    assert endings(core.step(event(1, "reading", "s1", 2_000, 6))) == [("id-0", "labelled", 6.0, 2_000)]
    assert counted(core) == {"predictions": 2, "labelled": 1, "pending": 1}


def test_a_recurring_label_belongs_to_those_that_wait() -> None:
    """With keys that recur nothing is early, revised or late: tomorrow's prediction is not told today's
    label.
    """
    core = core_of(rule(recurring=True))
    core.step(event(0, "arrived", "customer", 500, 1))
    core.step(prediction(0, "customer", 1_000))
    assert endings(core.step(event(1, "arrived", "customer", 2_000, 1))) == [("id-0", "labelled", 1.0, 2_000)]
    core.step(prediction(1, "customer", 2_100))
    assert endings(core.step(event(2, "arrived", "customer", 3_000, 0))) == [("id-1", "labelled", 0.0, 3_000)]
    core.step(prediction(2, "customer", 3_000))
    assert endings(core.step(event(3, "arrived", "customer", 60_000, 0))) == [("id-2", "expired", None, 3_000 + WAIT)]
    assert counted(core) == {"predictions": 3, "labelled": 2, "expired": 1, "unmatched": 2}


def test_no_wait_at_all() -> None:
    """With a wait of 0 a prediction lives until event time moves on."""
    core = core_of(rule(wait_ms=0))
    core.step(prediction(0, "UA1", 1_000))
    assert core.step(event(0, "scheduled", "XX", 1_000)) == []
    assert endings(core.step(event(1, "scheduled", "XX", 1_001))) == [("id-0", "expired", None, 1_000)]


def test_payloads_are_kept_as_they_came() -> None:
    """Taking a prediction in neither encodes nor decodes it, unless it has no payload yet."""
    codec = JsonCodec()
    core = core_of(rule(), codec)
    core.step(prediction(0, "UA1", 1_000))
    assert (codec.encoded, codec.decoded) == (0, 0)
    bare = prediction(1, "UA1", 1_000)
    bare.payload = b""
    core.step(bare)
    assert codec.encoded == 1
    assert len(core.step(event(0, "arrived", "UA1", 1_000, 1))) == 2


def test_missing_predictions_stay_on_the_books() -> None:
    """Pending predictions that the log no longer holds are reported, and the ledger still balances."""
    core = core_of(rule())
    core.step(prediction(8, "UA1", 1_000))
    core.resume({"predictions": 9, "labelled": 6, "pending": 3}, 4_000)
    assert (core.missing, core.watermark) == (2, 4_000)
    core.step(event(0, "arrived", "UA1", 5_000, 1))
    assert counted(core) == {"predictions": 9, "labelled": 7, "pending": 2}


def test_every_counter_is_explained() -> None:
    """What is counted and what is documented are the same."""
    core = core_of(rule())
    core.resume({}, 0)
    assert list(core.counters()) == list(COUNTERS)
