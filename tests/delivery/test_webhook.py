"""Webhooks over real sockets: to the address that was checked, under the host's name, and no further."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from riverrun.delivery.messages import Message, Result
from riverrun.delivery.signing import Signer
from riverrun.delivery.webhook import Webhook
from tests.delivery.certificates import make_contexts
from tests.delivery.receiver import running
from tests.delivery.test_signing import NOW, SECRET

MESSAGE = Message("a-1", "title", "text", "warning", b'{"type":"alert.raised"}')
SIGNER = Signer.of(SECRET)
HOST = "hooks.riverrun.test"


def local(port: int) -> Webhook:
    """Return a webhook to this machine, which the operator allows."""
    allowed = frozenset({f"127.0.0.1:{port}"})
    return Webhook(f"http://127.0.0.1:{port}/hook?a=b", SIGNER, allowed, clock=lambda: NOW)


def test_a_message_is_posted_and_signed() -> None:
    """The receiver can verify it, and finds the id that every attempt has."""
    with running() as receiver:
        assert local(receiver.port).deliver(MESSAGE).result is Result.DELIVERED
    ((path, headers, body),) = receiver.requests
    assert (path, body, headers["content-type"]) == ("/hook?a=b", MESSAGE.body, "application/json")
    assert SIGNER.verify(headers, body, NOW) == MESSAGE.id


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (200, Result.DELIVERED),
        (204, Result.DELIVERED),
        (301, Result.FAILED),
        (400, Result.FAILED),
        (401, Result.FAILED),
        (410, Result.GONE),
        (429, Result.FAILED),
        (500, Result.FAILED),
    ],
)
def test_answers_are_judged(status: int, result: Result) -> None:
    """Any 2xx is receipt, 410 ends it, all else is tried again."""
    with running(statuses=[status]) as receiver:
        assert local(receiver.port).deliver(MESSAGE).result is result


def test_a_receiver_may_ask_to_be_left_alone() -> None:
    """Retry-After in seconds is heeded, up to an hour; a date is not understood and ignored."""
    for text, wait in (("7", 7.0), ("999999", 3_600.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0), ("-5", 0.0)):
        with running(statuses=[429]) as receiver:
            receiver.headers["retry-after"] = text
            assert local(receiver.port).deliver(MESSAGE).wait == wait


def test_redirects_are_not_followed() -> None:
    """Else a public host could send the request on to a private one."""
    with running(statuses=[307, 307]) as receiver:
        receiver.headers["location"] = f"http://127.0.0.1:{receiver.port}/other"
        assert local(receiver.port).deliver(MESSAGE).result is Result.FAILED
    assert len(receiver.requests) == 1


def test_proxy_settings_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would look hosts up by itself, and so undo every check."""
    with running() as proxy, running() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert local(receiver.port).deliver(MESSAGE).result is Result.DELIVERED
    assert (len(receiver.requests), len(proxy.requests)) == (1, 0)


def test_a_private_address_is_refused_without_a_connection() -> None:
    """Nothing reaches a host that is not public and not allowed, by address or by name."""
    with running() as receiver:
        for url in (f"https://127.0.0.1:{receiver.port}/", f"https://2130706433:{receiver.port}/"):
            outcome = Webhook(url, SIGNER).deliver(MESSAGE)
            assert outcome.result is Result.FAILED
            assert "not a public address" in outcome.why
    assert receiver.requests == []


class Rebinding:
    """A name server that says one thing first and another afterwards."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    def __call__(self, host: str, port: int) -> Sequence[str]:
        return [self.answers.pop(0)]


def test_a_name_is_looked_up_once_and_that_address_connected_to(tmp_path: Path) -> None:
    """The second answer, which would lead elsewhere, is never asked for; TLS is with the name all the same."""
    server, client = make_contexts(tmp_path, HOST)
    with running(server) as receiver:
        resolve = Rebinding("127.0.0.1", "192.0.2.1")
        hook = Webhook(f"https://{HOST}:{receiver.port}/", SIGNER, frozenset({HOST}), resolve, client, lambda: NOW)
        assert hook.deliver(MESSAGE).result is Result.DELIVERED
    assert resolve.answers == ["192.0.2.1"]
    assert receiver.names == [HOST]
    assert receiver.requests[0][1]["host"] == f"{HOST}:{receiver.port}"


def test_an_address_that_turns_private_is_refused_at_the_next_attempt() -> None:
    """Every attempt looks the name up anew, and checks what it finds."""
    resolve = Rebinding("10.0.0.1", "127.0.0.1")
    hook = Webhook("https://example.com/", SIGNER, resolve=resolve)
    assert "10.0.0.1" in hook.deliver(MESSAGE).why
    assert "127.0.0.1" in hook.deliver(MESSAGE).why


def test_a_certificate_of_another_host_is_refused(tmp_path: Path) -> None:
    """The connection goes to an address; the certificate must be the name's."""
    server, client = make_contexts(tmp_path, "other.riverrun.test")
    with running(server) as receiver:
        resolve = Rebinding("127.0.0.1")
        hook = Webhook(f"https://{HOST}:{receiver.port}/", SIGNER, frozenset({HOST}), resolve, client)
        outcome = hook.deliver(MESSAGE)
    assert outcome.result is Result.FAILED
    assert "CERTIFICATE_VERIFY_FAILED" in outcome.why
    assert receiver.requests == []


def test_a_receiver_that_is_away_is_a_failure() -> None:
    """Not an exception: it is tried again."""
    with running() as receiver:
        port = receiver.port
    assert local(port).deliver(MESSAGE).result is Result.FAILED
