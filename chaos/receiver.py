"""Who the alerts are delivered to: it verifies signatures, and can be down, or deaf after it has heard."""

from __future__ import annotations

import base64
import json
import random
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from types import TracebackType
from typing import Final, NamedTuple, Self

from riverrun.delivery.signing import SignatureError, Signer

__all__ = ["Delivery", "Receiver"]

_MOST_BYTES: Final = 1 << 20


class Delivery(NamedTuple):
    """A request that came with a valid signature: its idempotency key, its alert's id, and when, in milliseconds."""

    key: str
    alert: str
    at_ms: int


class Receiver:
    """Keeps what is delivered for as long as a ``with`` statement lasts.

    Parameters
    ----------
    seed
        Of the secret that senders must sign with.

    Attributes
    ----------
    secret
        As settings hold it.
    down
        Whether it refuses everything unheard (503).
    deaf
        Whether it hears, and then says that it has not (500), as when an answer is lost.
    taken
        What it has heard, in order; the same alert may come several times.
    refused
        How many requests had no valid signature.
    """

    def __init__(self, seed: int) -> None:
        self.secret = "whsec_" + base64.b64encode(random.Random(seed).randbytes(32)).decode()
        self.down = False
        self.deaf = False
        self.taken: list[Delivery] = []
        self.refused = 0
        self._signer = Signer.of(self.secret)
        self._alerts: set[str] = set()
        self._lock = Lock()
        self._server: ThreadingHTTPServer | None = None

    @property
    def address(self) -> str:
        """Its host and port, while it listens."""
        assert self._server is not None, "it does not listen"
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def alerts(self) -> int:
        """How many different alerts have come; asked many times a second, beside what is measured."""
        return len(self._alerts)

    def answer(self, headers: Mapping[str, str], body: bytes) -> int:
        """Take a request; return the status to answer with."""
        if self.down:
            return 503
        with self._lock:
            try:
                key = self._signer.verify(headers, body, int(time.time()))
            except SignatureError:
                self.refused += 1
                return 401
            delivery = Delivery(key, str(json.loads(body)["data"]["id"]), int(time.time() * 1000))
            self.taken.append(delivery)
            self._alerts.add(delivery.alert)
        return 500 if self.deaf else 204

    def __enter__(self) -> Self:
        """Listen."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        Thread(target=self._server.serve_forever, name="chaos-receiver", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = min(int(self.headers.get("content-length", "0")), _MOST_BYTES)
            body = self.rfile.read(length)
            if len(body) < length:
                # Whoever sent it was killed halfway: nothing has been delivered, and nobody waits for an answer.
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(receiver.answer(headers, body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_request(self, code: object = "-", size: object = "-") -> None:
            del code, size

    return Handler
