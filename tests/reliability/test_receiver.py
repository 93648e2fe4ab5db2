"""The receiver of alerts: what is delivered, what is forged, and what never came whole."""

from __future__ import annotations

import json
import socket
import time
from http.client import HTTPConnection

from chaos.receiver import Receiver
from riverrun.delivery.signing import Signer


def _ask(receiver: Receiver, headers: dict[str, str], body: bytes) -> int:
    host, _, port = receiver.address.partition(":")
    connection = HTTPConnection(host, int(port), timeout=10)
    connection.request("POST", "/", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_what_its_sender_did_not_finish_is_no_forgery() -> None:
    """A sender that is killed between head and body has delivered nothing, and has forged nothing."""
    body = json.dumps({"data": {"id": "a"}}).encode()
    with Receiver(1) as receiver:
        headers = Signer.of(receiver.secret).headers("a", int(time.time()), body)
        host, _, port = receiver.address.partition(":")
        for sent in (0, 5, len(body) - 1):
            with socket.create_connection((host, int(port)), 10) as line:
                lines = [f"{name}: {value}" for name, value in {**headers, "content-length": str(len(body))}.items()]
                line.sendall("\r\n".join(["POST / HTTP/1.1", "host: here", *lines, "", ""]).encode() + body[:sent])
                line.shutdown(socket.SHUT_WR)
                assert line.recv(100) == b""
        assert (receiver.refused, receiver.taken) == (0, [])
        assert _ask(receiver, headers, body) == 204
        assert _ask(receiver, headers, body + b" ") == 401
        assert receiver.refused == 1
        assert [delivery.alert for delivery in receiver.taken] == ["a"]
