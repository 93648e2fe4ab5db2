"""The demo's receiver takes what was signed with its secret, each alert once, and refuses and counts all else."""

from __future__ import annotations

import http.client
import time

import pytest

from examples.flights.alerts import _Inbox, _receiver
from riverrun.delivery.signing import TOLERANCE_S, Signer

OURS = Signer.of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
THEIRS = Signer.of("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX")
BODY = b'{"data": {"id": "a-1"}}'


@pytest.fixture
def inbox() -> _Inbox:
    """A receiver's memory."""
    return _Inbox(OURS)


def now() -> int:
    """Return the time, as the receiver knows it."""
    return int(time.time())


def test_a_request_with_the_right_signature_is_taken_once(inbox: _Inbox) -> None:
    """Deliveries are at least once: the same alert again is received, and no other alert."""
    for _ in range(2):
        assert inbox.take(OURS.headers("a-1", now(), BODY), BODY) == 204
    assert (inbox.ids, inbox.refused) == (["a-1"], 0)


def test_a_forged_request_is_refused_and_counted(inbox: _Inbox) -> None:
    """Another's secret, another body, another id, an old request, half of a signature, and none."""
    right = OURS.headers("a-1", now(), BODY)
    forged = [
        (THEIRS.headers("a-1", now(), BODY), BODY),
        (right, BODY.replace(b"a-1", b"a-2")),
        ({**right, "webhook-id": "a-2"}, BODY),
        (OURS.headers("a-1", now() - TOLERANCE_S - 60, BODY), BODY),
        ({**right, "webhook-signature": right["webhook-signature"][:-8]}, BODY),
        ({}, BODY),
    ]
    assert [inbox.take(headers, body) for headers, body in forged] == [401] * len(forged)
    assert (inbox.ids, inbox.refused) == ([], len(forged))
    assert inbox.take(right, BODY) == 204


def test_it_does_so_over_http(inbox: _Inbox) -> None:
    """Headers come in any case, and the answer's status tells what became of a request."""
    with _receiver(inbox) as port:
        answers = []
        for signer in (THEIRS, OURS):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            headers = {name.title(): value for name, value in signer.headers("a-1", now(), BODY).items()}
            connection.request("POST", "/alerts", BODY, headers)
            answers.append(connection.getresponse().status)
            connection.close()
    assert answers == [401, 204]
    assert (inbox.ids, inbox.refused) == (["a-1"], 1)
