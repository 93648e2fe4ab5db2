"""Tests of the attack itself: a server that does not refuse, and a pipeline that stands still, are found out."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from hostile import scene as hostile_scene
from hostile.outcome import Outcome
from hostile.prey import events_of, make_prey
from hostile.request_judge import RequestJudge
from hostile.requests import Route
from hostile.routes import Door, attack_doors
from hostile.scene import Scene
from hostile.talk import CLOSED
from hostile.topics import GOOD, MALFORMED, SPOILED, Found, account
from riverrun.adapters.kafka_log import kafka_producer
from riverrun.embedded import EmbeddedCluster
from riverrun.records.items import Source

COUNT = 60
PROBLEM = "application/problem+json"
DOCUMENT: dict[str, dict[str, Any]] = {"paths": {"/open": {"get": {"security": []}}}}


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Give the port of a server that answers everything alike."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    line, _ = listening.accept()
                    with line, suppress(OSError):
                        line.sendall(answer)
                        line.shutdown(socket.SHUT_WR)
                        while line.recv(65_536):
                            pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(20)


def attacked(answer: bytes) -> Outcome:
    """Attack such a server."""
    with answering(answer) as port:
        door = Door("", port, [Route("GET", "/open")], RequestJudge(DOCUMENT), PROBLEM)
        return attack_doors(lambda: None, [door], COUNT, 1)


def head(status: str, kind: str) -> bytes:
    """Write an answer without a body."""
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: 0\r\n\r\n".encode()


def test_refusals_account_for_everything() -> None:
    """A 4xx with a problem document is what is wanted; all are counted, by their route too."""
    found = attacked(head("400 Bad Request", PROBLEM))
    assert (found.tried, found.unaccounted, found.faults) == (COUNT, 0, [])
    assert found.answers == found.by_route["GET /open"] == Counter({"400": COUNT})


@pytest.mark.parametrize(
    "answer", [head("200 OK", PROBLEM), head("500 Oh", PROBLEM), head("400 Bad Request", "text/html"), b"what?"]
)
def test_whatever_is_no_refusal_is_found_out(answer: bytes) -> None:
    """Neither a success nor a fault nor a page nor noise accounts for a malformed request."""
    found = attacked(answer)
    assert found.tried == COUNT
    assert found.unaccounted >= COUNT
    assert len(found.faults) == 20


def test_hanging_up_accounts_only_for_what_was_cut_short() -> None:
    """Who has sent a whole request has a right to an answer."""
    found = attacked(b"")
    assert found.answers == Counter({CLOSED: COUNT})
    assert 0 < found.unaccounted < COUNT + found.valid[CLOSED]
    assert all("no complete request" not in fault for fault in found.faults)


def places(*what: str) -> dict[Source, str]:
    """Return where messages of these kinds lie."""
    return {Source("in", 0, number): each for number, each in enumerate(what)}


NOTHING = Found(Counter(), {}, 5)
FIRST, SECOND, OTHER = Source("in", 0, 0), Source("in", 0, 1), Source("in", 0, 9)


def test_dead_letters_account_for_malformed_messages() -> None:
    """Each has its dead letter; what was only spoiled may be an event, a dead letter or a duplicate."""
    found = Found(Counter([Source("in", 0, 2)]), {FIRST: ["rule"], SECOND: ["empty"]}, 6)
    outcome = Outcome()
    account(places(MALFORMED, SPOILED, GOOD, SPOILED), (NOTHING, found), outcome)
    assert outcome.unaccounted == 0
    assert (outcome.answers, outcome.valid) == (Counter(["rule"]), Counter(["empty", "duplicate"]))


@pytest.mark.parametrize(
    ("what", "found"),
    [
        (MALFORMED, Found(Counter([FIRST]), {}, 5)),
        (MALFORMED, Found(Counter(), {}, 6)),
        (MALFORMED, Found(Counter(), {FIRST: ["rule", "rule"]}, 5)),
        (MALFORMED, Found(Counter([FIRST]), {FIRST: ["rule"]}, 5)),
        (GOOD, Found(Counter(), {}, 5)),
        (GOOD, Found(Counter([FIRST, FIRST]), {}, 5)),
        (GOOD, Found(Counter([FIRST]), {}, 6)),
        (SPOILED, Found(Counter([FIRST]), {FIRST: ["rule"]}, 5)),
        (GOOD, Found(Counter([FIRST, OTHER]), {}, 5)),
    ],
)
def test_whatever_does_not_add_up_is_found_out(what: str, found: Found) -> None:
    """A malformed message that is an event, dropped, or told twice; a good one lost or doubled; one too many."""
    outcome = Outcome()
    account(places(what), (NOTHING, found), outcome)
    assert outcome.unaccounted > 0
    assert outcome.faults


def test_a_pipeline_that_stands_still_is_found_out(
    tmp_path: Path, cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages that no stage folds are noted: what waits for them, and which stages are behind."""
    monkeypatch.setattr(hostile_scene, "_PATIENCE_S", 0.5)
    scene = Scene(make_prey("still", tmp_path, cluster.addresses), tmp_path)
    try:
        topic, event = next(events_of(scene.prey))
        producer = kafka_producer(dict(cluster.addresses.kafka))
        producer.produce(topic, json.dumps(event).encode(), event["parcel_id"].encode(), 1)
        assert producer.flush(30) == 0
        scene.settle(1)
    finally:
        scene.close()
    assert scene.stopped == ["ingest has not folded all of 1 messages", "ingest[1] is behind"]
