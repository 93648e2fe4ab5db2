"""Signals: copies of all that the rules look at, through the wire and back; what is malformed is told, not raised."""

from __future__ import annotations

from dataclasses import fields

import pytest

from riverrun.records.items import Item, Progress, Source
from riverrun.runtime.ports import Record
from riverrun.runtime.wire import Wire
from services.alerts.broker import broker_settings
from services.alerts.signals import Header, Mark, origin_header, read_mark, read_signal
from tests.alerts.made import NAME, START, alias, command, evaluation, finding, intake, pipeline_of, wire_of

SIGNALS = f"{NAME}.alert-signals"
FACTS: dict[str, Item | Progress] = {
    "evaluations": evaluation(0.5, START),
    "models": alias("other"),
    "drift": finding("f", START),
    "alert-commands": command("acknowledge", alert="a-1"),
    "progress": intake(START, {"accepted": 5}, 7),
}


@pytest.fixture(scope="module")
def wire() -> Wire:
    """The pipeline's codecs."""
    return wire_of(pipeline_of())


def record(value: bytes | None, headers: list[Header]) -> Record:
    """Return a record of the signals topic."""
    return Record(SIGNALS, 0, 12, 345, None, value, headers)


def said(item: Item | Progress) -> dict[str, object]:
    """Return what an item says, without where it was written."""
    return {field.name: getattr(item, field.name) for field in fields(item) if field.name not in ("source", "seq")}


@pytest.mark.parametrize("kind", FACTS)
def test_a_copy_says_what_the_record_said_and_where_it_lies(wire: Wire, kind: str) -> None:
    """Value unchanged, origin in a header; commit records and commands, which have no headers, too."""
    value = wire.codecs.encode(FACTS[kind])
    signal = read_signal(record(value, origin_header(f"{NAME}.{kind}", 1, 40)), wire.codecs.decode)
    assert (signal.position, signal.wall, signal.trouble) == (12, 345, "")
    assert signal.source == Source(f"{NAME}.{kind}", 1, 40)
    assert signal.fact is not None
    assert type(signal.fact) is type(FACTS[kind])
    assert said(signal.fact) == said(FACTS[kind])


def test_a_mark_is_read_as_written() -> None:
    """It is a tick, with where the producers' topics ended; a copy is no mark."""
    mark = Mark({f"{NAME}.evaluations/0": 5}, {"shop/0": 7})
    made = record(mark.to_bytes(), [])
    assert read_mark(made) == mark
    signal = read_signal(made, lambda value, stamp: pytest.fail("a mark is not decoded"))
    assert (signal.fact, signal.ends, signal.source) == (None, {"shop/0": 7}, Source(SIGNALS, 0, 12))
    assert read_mark(record(mark.to_bytes(), origin_header("t", 0, 1))) is None


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (b"garbage", []),
        (b"[]", []),
        (b'{"positions": 5, "ends": {}}', []),
        (None, []),
        (b"garbage", origin_header("t", 0, 1)),
        (b"\x00\x00\x00\x00\x04\x01", origin_header("t", 0, 1)),
        (b"", origin_header("t", 0, 1)),
        (b"x", [("riverrun-origin", b"nowhere")]),
        (b"x", [("riverrun-origin", b"t/x/y")]),
        (b"x", [("riverrun-origin", b"\xff/0/1")]),
    ],
)
def test_what_is_malformed_is_told_and_skipped(wire: Wire, value: bytes | None, headers: list[Header]) -> None:
    """One bad record must not stop all alerts."""
    signal = read_signal(record(value, headers), wire.codecs.decode)
    assert signal.fact is None
    assert signal.trouble


def test_a_tombstone_of_a_copied_topic_is_nothing_to_look_at(wire: Wire) -> None:
    """Compacted topics may hold them."""
    signal = read_signal(record(None, origin_header(f"{NAME}.models", 0, 1)), wire.codecs.decode)
    assert (signal.fact, signal.trouble) == (None, "")


def test_faust_is_given_the_same_brokers_and_credentials() -> None:
    """From librdkafka's properties: all brokers, user, password, mechanism; without security no credentials."""
    assert broker_settings({"bootstrap.servers": "a:1, b:2"}) == {"broker": ["aiokafka://a:1", "aiokafka://b:2"]}
    found = broker_settings(
        {
            "bootstrap.servers": "a:1",
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": "ada",
            "sasl.password": "tea",
        }
    )
    credentials = found["broker_credentials"]
    assert (credentials.username, credentials.password) == ("ada", "tea")
    assert credentials.mechanism.value == "SCRAM-SHA-512"
    assert credentials.ssl_context is None
    encrypted = broker_settings(
        {
            "bootstrap.servers": "a:1",
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "PLAIN",
            "sasl.username": "ada",
            "sasl.password": "tea",
        }
    )
    assert encrypted["broker_credentials"].ssl_context.check_hostname
    only = broker_settings({"bootstrap.servers": "a:1", "security.protocol": "SSL"})
    assert only["broker_credentials"].context.check_hostname
