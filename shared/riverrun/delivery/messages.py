"""What is delivered: a message, and what came of an attempt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

__all__ = ["Channel", "Message", "Outcome", "Result"]


@dataclass(frozen=True, slots=True)
class Message:
    """Something to be delivered.

    Parameters
    ----------
    id
        The idempotency key: the same for every attempt.
    title, text
        For people.
    severity
        ``info``, ``warning`` or ``critical``.
    body
        For programs: a JSON document.
    """

    id: str
    title: str
    text: str
    severity: str
    body: bytes


class Result(Enum):
    """What came of an attempt."""

    DELIVERED = "delivered"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt, and why.

    ``GONE`` says that the receiver wants nothing any more. ``wait`` is how long the receiver asks to be left alone, in
    seconds.
    """

    result: Result
    why: str = ""
    wait: float = 0.0


class Channel(Protocol):
    """A way to somebody."""

    def deliver(self, message: Message) -> Outcome:
        """Try once to deliver a message. Never raises for what a receiver or the network does."""
        ...
