"""Who publishes through the gateway: it sends everything again until it is told that Kafka has it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import httpx

from chaos.findings import Finding, Sort

__all__ = ["STREAM", "Caller"]

STREAM: Final = "scanned"
"""The stream whose events it publishes."""

_AT_ONCE: Final = 3
_EVERY_S: Final = 0.15
_AGAIN_S: Final = 0.05
_TIMEOUT_S: Final = 10.0
_ACCEPTED: Final = 202
_UNAVAILABLE: Final = 503


class Caller:
    """Publishes events for as long as a ``with`` statement lasts, or until it is stopped.

    Parameters
    ----------
    url
        Of the gateway.
    key
        An API key that may publish.
    clock
        Gives the events' time, in milliseconds since the epoch.

    Attributes
    ----------
    accepted
        How many events the gateway has said that Kafka has.
    findings
        Answers that no caller should get.
    """

    def __init__(self, url: str, key: str, clock: Callable[[], int]) -> None:
        self.accepted = 0
        self.findings: list[Finding] = []
        self._url = f"{url}/v1/streams/{STREAM}"
        self._clock = clock
        self._client = httpx.Client(headers={"Authorization": f"Bearer {key}"}, timeout=_TIMEOUT_S, trust_env=False)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._call, name="chaos-caller", daemon=True)

    @staticmethod
    def id_of(number: int) -> str:
        """Return the id of the event of a number, from 0: those below `accepted` were accepted."""
        return f"g{number:06d}"

    def __enter__(self) -> Self:
        """Begin to publish."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def stop(self) -> None:
        """Stop, in the middle of a request if need be: then nobody knows whether its events are in Kafka."""
        self._stopping.set()
        self._thread.join()
        self._client.close()

    def _call(self) -> None:
        events = self._events()
        while not self._stopping.is_set():
            try:
                status = self._client.post(self._url, json=events).status_code
            except httpx.HTTPError:
                # Whether they arrived is not known: they are sent again, under the same ids.
                status = _UNAVAILABLE
            if status == _ACCEPTED:
                self.accepted += len(events)
                events = self._events()
            elif status != _UNAVAILABLE:
                text = f"the gateway answered {status} to {events}"
                self.findings.append(Finding(Sort.WRONG, text, int(time.time() * 1000)))
            self._stopping.wait(_EVERY_S if status == _ACCEPTED else _AGAIN_S)

    def _events(self) -> list[dict[str, object]]:
        at = self._clock()
        return [
            {"event_id": self.id_of(number), "parcel_id": f"g{number % 50}", "at": at, "carrier": "swift", "delay": 1.0}
            for number in range(self.accepted, self.accepted + _AT_ONCE)
        ]
