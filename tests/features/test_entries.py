"""The stored form of an entity's partials: back and forth, golden, stale, and damaged in every way."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path

import pytest
from datasketches import tdigest_double
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.features import FeaturePlan, FeatureTable, PartialFormatError, StalePartialError
from riverrun.features.entries import EntryCodec
from riverrun.features.panes import Ring
from riverrun.features.partials import Maximum, Minimum, Partial
from riverrun.features.sketches import Quantile
from riverrun.features.value_codec import encode_bytes, encode_value
from riverrun.pipeline import Aggregate, count, last, mean, quantile
from riverrun.records.items import FieldValue
from riverrun.runtime.ports import PartialEntry
from tests.features.made import VISITS, Happening, happenings, plan_of

GOLDEN = Path(__file__).parent / "golden" / "entries.json"
PLAN = plan_of()
CODECS = [EntryCodec(group) for group in PLAN.groups]
HEADER = 11


def folded(events: list[Happening], plan: FeaturePlan = PLAN) -> FeatureTable:
    table = FeatureTable(plan)
    for seq, happening in enumerate(events):
        table.update(happening.stream, happening.fields, happening.time, seq)
    return table


def entries(table: FeatureTable) -> list[tuple[int, PartialEntry]]:
    return [(number, entry) for number in range(len(CODECS)) for entry in table.entries(number)]


def steady(number: int) -> Happening:
    """Return one of a fixed series of events, with late ones, ties and missing values, for the golden file."""
    fields: dict[str, FieldValue] = {
        "customer": f"c{number % 3}",
        "item": (None, "", "x", "y|")[number % 4],
        "shop": f"s{number % 2}",
        "seller": f"s{number // 2 % 2}",
        "amount": None if number % 7 == 0 else (number * 37 % 41) / 4 - 3,
        "pages": None if number % 5 == 0 else number % 9 - 2,
    }
    late = 9 if number % 11 == 0 else 0
    return Happening("orders" if number % 4 == 1 else "visits", 1_000 + number * 2 - late, fields)


def crowd(number: int) -> Happening:
    """Return one of many events of one pane, enough for a digest and a full theta sketch."""
    fields: dict[str, FieldValue] = {
        "customer": "c0",
        "item": f"i{number}",
        "shop": "s0",
        "seller": "s0",
        "amount": number * 997 % 1_009 / 4,
    }
    return Happening("visits", 1_000, fields)


def read_all(rings: list[Ring | None], group: int) -> None:
    """Work out every aggregate of an entity, as a vector would, and fold another event."""
    for layout, ring in zip(PLAN.groups[group].layouts, rings, strict=True):
        if ring is not None:
            results: list[FieldValue] = list(PLAN.empty)
            row = layout.read(ring, ring.newest - layout.panes + 1, ring.newest)
            layout.merge_rows(row, layout.read(ring, ring.newest - layout.panes + 1, ring.newest))
            layout.finish(row, results)


@settings(max_examples=60, deadline=None)
@given(events=happenings())
def test_what_was_encoded_decodes_to_the_same_bytes(events: list[Happening]) -> None:
    """The same state gives the same bytes, before and after, and nothing is lost on the way."""
    for number, entry in entries(folded(events)):
        rings = CODECS[number].decode(entry.value)
        assert CODECS[number].encode(rings) == entry.value
        assert len(rings) == len(PLAN.groups[number].layouts)


def test_the_stored_bytes_are_golden() -> None:
    """What earlier builds stored is read and written to the byte; a change needs another ``FORMAT``.

    The file has the entries of a fixed series of events. A new format gets a new file, made by this function.
    """
    table = folded([steady(number) for number in range(60)])
    found = {f"{PLAN.groups[n].id}/{entry.entity}@{entry.position}": entry.value.hex() for n, entry in entries(table)}
    assert found == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_only_this_definition_of_a_group_is_read() -> None:
    """Another version, window, function, number of panes or parameter is stale; a renamed feature is not."""

    def plan(**features: Aggregate) -> FeaturePlan:
        return plan_of(features)

    here = plan(a=quantile(VISITS.amount, 0.5).by("shop").over("12ms"))
    table = folded([steady(0)], here)
    (entry,) = table.entries(0)
    assert EntryCodec(plan(other=quantile(VISITS.amount, 0.5).by("shop").over("12ms")).groups[0]).decode(entry.value)
    for changed in (
        plan(a=quantile(VISITS.amount, 0.5).by("shop").over("24ms")),
        plan(a=quantile(VISITS.amount, 0.5).by("shop").over("12ms", panes=6)),
        plan(a=quantile(VISITS.amount, 0.9).by("shop").over("12ms")),
        plan(a=quantile(VISITS.pages, 0.5).by("shop").over("12ms")),
        plan(a=mean(VISITS.amount).by("shop").over("12ms")),
        plan(a=quantile(VISITS.amount, 0.5).by("shop").over("12ms"), b=count(VISITS).by("shop").over("24ms")),
    ):
        with pytest.raises(StalePartialError):
            EntryCodec(changed.groups[0]).decode(entry.value)
    with pytest.raises(StalePartialError):
        EntryCodec(here.groups[0]).decode(bytes([entry.value[0] + 1]) + entry.value[1:])


SEEDS = entries(folded([*map(steady, range(60)), *map(crowd, range(300))]))
DAMAGE = st.lists(
    st.tuples(st.sampled_from(["set", "flip", "cut", "insert", "remove"]), st.integers(0, 4_000), st.integers(0, 255)),
    min_size=1,
    max_size=4,
)


def damaged(data: bytes, steps: list[tuple[str, int, int]]) -> bytes:
    """Damage the bytes behind the header."""
    body = bytearray(data[HEADER - 2 :])
    for what, place, value in steps:
        at = place % (len(body) + 1)
        match what:
            case "set":
                body[at : at + 1] = bytes([value])
            case "flip":
                body[at : at + 1] = bytes(byte ^ (1 << value % 8) for byte in body[at : at + 1])
            case "cut":
                del body[at:]
            case "insert":
                body[at:at] = bytes([value]) * (value % 9 + 1)
            case _:
                del body[at : at + value % 9 + 1]
    return data[: HEADER - 2] + bytes(body)


@settings(max_examples=600, deadline=None)
@given(seed=st.sampled_from(SEEDS), steps=DAMAGE)
def test_damaged_bytes_raise_a_format_error_or_nothing(
    seed: tuple[int, PartialEntry], steps: list[tuple[str, int, int]]
) -> None:
    """Whatever happened to them; and what is read in spite of it can be worked with and stored again."""
    number, entry = seed
    try:
        rings = CODECS[number].decode(damaged(entry.value, steps))
    except PartialFormatError:
        return
    read_all(rings, number)
    CODECS[number].encode(rings)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), number=st.integers(0, len(CODECS) - 1))
def test_arbitrary_bytes_raise_a_format_error(data: bytes, number: int) -> None:
    """Bytes that are no partial at all, with or without a proper header."""
    with pytest.raises(PartialFormatError):
        CODECS[number].decode(data)
    head = struct.pack("<B8s", 1, PLAN.groups[number].fingerprint)
    with contextlib.suppress(PartialFormatError):
        read_all(CODECS[number].decode(head + data), number)


@pytest.mark.parametrize("kept", range(0, 60, 7))
def test_a_true_beginning_is_refused(kept: int) -> None:
    """An entry that was cut anywhere is damaged, as is one with more behind it."""
    for number, entry in SEEDS:
        with pytest.raises(PartialFormatError):
            CODECS[number].decode(entry.value[: len(entry.value) * kept // 60])
        with pytest.raises(PartialFormatError, match="1 bytes too many"):
            CODECS[number].decode(entry.value + b"\x00")


COUNTED = plan_of({"visits": count(VISITS).by("shop").over("12ms", panes=4)})
RING = struct.Struct("<HqH")
PANE = struct.Struct("<Hq")


def counted(*rings: tuple[int, int, list[tuple[int, int]]]) -> bytes:
    """Return an entry of one ring of counts: its number, newest pane, and how far back which count lies."""
    out = bytearray(struct.pack("<B8sH", 1, COUNTED.groups[0].fingerprint, len(rings)))
    for number, newest, panes in rings:
        out += RING.pack(number, newest, len(panes)) + b"".join(PANE.pack(*pane) for pane in panes)
    return bytes(out)


@pytest.mark.parametrize(
    "data",
    [
        counted((0, 9, [(1, 5), (1, 5)])),
        counted((0, 9, [(0, 5), (1, 5)])),
        counted((0, 9, [(4, 5)])),
        counted((0, 9, [(1, 5)]), (0, 9, [(1, 5)])),
        counted((1, 9, [(1, 5)])),
    ],
    ids=["pane twice", "panes in disorder", "pane not kept", "ring twice", "no such ring"],
)
def test_a_structure_that_is_never_written_is_refused(data: bytes) -> None:
    """Rings ascend and panes go from the oldest to the newest, each once: else something was overwritten."""
    codec = EntryCodec(COUNTED.groups[0])
    sound = counted((0, 9, [(1, 5), (0, 2)]))
    assert codec.encode(codec.decode(sound)) == sound
    with pytest.raises(PartialFormatError):
        codec.decode(data)


@pytest.mark.parametrize("partial", [Minimum(), Maximum()], ids=["min", "max"])
def test_a_minimum_of_texts_is_refused(partial: Partial) -> None:
    """It would be found out when it is compared with a number, in the midst of a vector."""
    out = bytearray()
    encode_value("7", out)
    with pytest.raises(PartialFormatError, match="not a number"):
        partial.decode(bytes(out), 0, [None], 0)


def test_an_empty_digest_is_refused() -> None:
    """It has no quantile, and none was ever stored."""
    out = bytearray(b"\x00\x00")
    encode_bytes(tdigest_double(400).serialize(), out)
    with pytest.raises(PartialFormatError, match="empty digest"):
        Quantile(0.5).decode(bytes(out), 0, [None], 0)


def test_what_can_no_longer_be_read_is_left_out_of_the_canonical_form() -> None:
    """Panes behind the reach of every later vector go, then rings, then entities; not a moment earlier."""
    plan = plan_of(
        {
            "visits": count(VISITS).by("shop").over("12ms", panes=4),
            "last": last(VISITS.item).by("shop").over("60ms", panes=4),
        }
    )
    table = FeatureTable(plan)
    for seq, time in enumerate((999, 1_002)):
        table.update("visits", {"shop": "s0", "item": "x"}, time, seq)
    sizes = [
        len(next(iter(table.canonical(at).values()), b"")) for at in (1_002, 1_010, 1_014, 1_020, 1_023, 1_024, 1_140)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-2] > sizes[-1] == 0
