"""Who publishes through the gateway: it sends everything again until it is told that Kafka has it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import httpx

from chaos.findings import Finding, Sort

__all__ = ["STREAM", "Caller", "Sent"]

STREAM: Final = "scanned"
"""The stream whose events it publishes."""

_CARRIERS: Final = ("slow", "steady", "swift")
_AT_ONCE: Final = 3
_EVERY_S: Final = 0.15
_AGAIN_S: Final = 0.05
_TIMEOUT_S: Final = 10.0
_ACCEPTED: Final = 202
_UNAVAILABLE: Final = 503


@dataclass(slots=True)
class Sent:
    """An event, how often it was sent, and where it lies by the gateway's word: topic, partition and offset."""

    event: dict[str, object]
    times: int = 0
    place: tuple[str, int, int] | None = None


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
    events
        What was sent, by id: the event, how often, and where the gateway has said that it lies, if it has.
    findings
        Answers that no caller should get.
    """

    def __init__(self, url: str, key: str, clock: Callable[[], int]) -> None:
        self.accepted = 0
        self.events: dict[str, Sent] = {}
        self.findings: list[Finding] = []
        self._url = f"{url}/v1/streams/{STREAM}"
        self._clock = clock
        self._client = httpx.Client(headers={"Authorization": f"Bearer {key}"}, timeout=_TIMEOUT_S, trust_env=False)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._call, name="chaos-caller", daemon=True)

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
        batch = self._next()
        while not self._stopping.is_set():
            for sent in batch:
                sent.times += 1
            if self._ask(batch):
                batch = self._next()
                self._stopping.wait(_EVERY_S)
            else:
                self._stopping.wait(_AGAIN_S)

    def _ask(self, batch: list[Sent]) -> bool:
        """Send events; return whether they were accepted: else they are sent again, under the same ids."""
        events = [sent.event for sent in batch]
        try:
            answer = self._client.post(self._url, json=events)
        except httpx.HTTPError:
            # Whether they arrived is not known.
            return False
        if answer.status_code == _ACCEPTED:
            for sent, record in zip(batch, answer.json()["records"], strict=True):
                sent.place = record["topic"], record["partition"], record["offset"]
            self.accepted += len(batch)
            return True
        if answer.status_code != _UNAVAILABLE:
            text = f"the gateway answered {answer.status_code} to {events}"
            self.findings.append(Finding(Sort.WRONG, text, int(time.time() * 1000)))
        return False

    def _next(self) -> list[Sent]:
        at, batch = self._clock(), []
        for number in range(self.accepted, self.accepted + _AT_ONCE):
            event: dict[str, object] = {"event_id": f"g{number:06d}", "parcel_id": f"g{number % 50}", "at": at}
            event |= {"carrier": _CARRIERS[number % 3], "delay": number % 7 / 2}
            batch.append(Sent(event))
        self.events |= {str(sent.event["event_id"]): sent for sent in batch}
        return batch
