"""Webhooks over real sockets: to the address that was checked, under the host's name, and no further."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
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


@contextmanager
def answering(act: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run a receiver that does something odd with its one connection; the port is what is yielded."""

    def serve() -> None:
        plain, _ = server.accept()
        taken = context.wrap_socket(plain, server_side=True) if context is not None else plain
        with taken, suppress(OSError):
            act(taken)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)
        assert not thread.is_alive()


def dripping(connection: socket.socket) -> None:
    """Answer, a byte at a time, and never to the end."""
    connection.sendall(b"HTTP/1.1 204 No Content\r\nx: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def continuing(connection: socket.socket) -> None:
    """Ask for the rest for ever."""
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def silent(connection: socket.socket) -> None:
    """Take all and say nothing."""
    while connection.recv(65536):
        pass


@pytest.mark.parametrize("act", [dripping, continuing, silent])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_attempt_ends_whatever_the_receiver_does(
    act: Callable[[socket.socket], None], scheme: str, tmp_path: Path
) -> None:
    """Each byte may come in time: the attempt as a whole has a limit. Else one receiver would hold its courier."""
    server, client = make_contexts(tmp_path, HOST)
    with answering(act, server if scheme == "https" else None) as port:
        resolve = Rebinding("127.0.0.1")
        hook = Webhook(f"{scheme}://{HOST}:{port}/", SIGNER, frozenset({HOST}), resolve, client, limit_s=0.5)
        began = time.monotonic()
        outcome = hook.deliver(MESSAGE)
        assert 0.4 < time.monotonic() - began < 5
    assert outcome.result is Result.FAILED
    assert "Timeout" in outcome.why


def test_an_attempt_ends_in_the_middle_of_a_handshake() -> None:
    """The beginning of a long TLS record, byte by byte, is no answer either."""

    def act(connection: socket.socket) -> None:
        connection.sendall(b"\x16\x03\x03\x40\x00\x02")
        while True:
            connection.sendall(b"\x00")
            time.sleep(0.05)

    with answering(act) as port:
        hook = Webhook(f"https://{HOST}:{port}/", SIGNER, frozenset({HOST}), Rebinding("127.0.0.1"), limit_s=0.5)
        began = time.monotonic()
        assert hook.deliver(MESSAGE).result is Result.FAILED
        assert 0.4 < time.monotonic() - began < 5


def test_a_receiver_that_reads_nothing_is_left() -> None:
    """What is too much for the connection's buffers is not waited for without end either."""
    done = threading.Event()
    with answering(lambda connection: void(done.wait(10))) as port:
        large = replace(MESSAGE, body=bytes(64 << 20))
        outcome = replace(local(port), limit_s=0.5).deliver(large)
        done.set()
    assert outcome.result is Result.FAILED


def void(anything: object) -> None:
    """Drop a result."""
    del anything


def test_an_answer_in_time_is_taken() -> None:
    """In several pieces, after ``100 Continue``: receivers may be slow."""

    def act(connection: socket.socket) -> None:
        for piece in (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 20", b"4 No Content\r\n", b"\r\n"):
            connection.sendall(piece)
            time.sleep(0.05)

    with answering(act) as port:
        assert local(port).deliver(MESSAGE).result is Result.DELIVERED


def test_the_next_address_is_tried_when_one_is_down(tmp_path: Path) -> None:
    """All were checked; the first refuses the connection, and the second has it, under the host's name as ever."""
    server, client = make_contexts(tmp_path, HOST)
    with running(server) as receiver:
        hook = Webhook(f"https://{HOST}:{receiver.port}/", SIGNER, frozenset({HOST}), down_and_up, client)
        assert hook.deliver(MESSAGE).result is Result.DELIVERED
    assert receiver.names == [HOST]
    assert len(receiver.requests) == 1


def down_and_up(host: str, port: int) -> Sequence[str]:
    """Find three addresses of this machine; nobody listens at the first two."""
    return ["127.0.0.2", "127.0.0.3", "127.0.0.1"]


def test_an_address_that_does_not_answer_leaves_time_for_the_next() -> None:
    """One that takes connections and never completes them may use its share of the attempt's time, and no more."""
    with running() as receiver, full(receiver.port):
        hook = Webhook(f"http://{HOST}:{receiver.port}/", SIGNER, frozenset({HOST}), down_and_up, limit_s=3.0)
        began = time.monotonic()
        assert hook.deliver(MESSAGE).result is Result.DELIVERED
        assert 0.9 < time.monotonic() - began < 3


@contextmanager
def full(port: int) -> Iterator[None]:
    """Listen at the first address of `down_and_up`, with so full a queue that nobody is connected any more."""
    with socket.create_server(("127.0.0.2", port), backlog=0):
        waiting = [socket.socket() for _ in range(4)]
        try:
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(("127.0.0.2", port))
            yield
        finally:
            for each in waiting:
                each.close()


def test_only_the_addresses_that_were_checked_are_tried() -> None:
    """When none of them answers that is a failure, which names the host."""
    with running() as receiver:
        port = receiver.port
    hook = Webhook(f"http://{HOST}:{port}/", SIGNER, frozenset({HOST}), down_and_up)
    outcome = hook.deliver(MESSAGE)
    assert outcome.result is Result.FAILED
    assert HOST in outcome.why


def test_a_receiver_that_is_away_is_a_failure() -> None:
    """Not an exception: it is tried again."""
    with running() as receiver:
        port = receiver.port
    assert local(port).deliver(MESSAGE).result is Result.FAILED
