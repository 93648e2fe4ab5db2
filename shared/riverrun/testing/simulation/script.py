"""What will happen in a simulation: a list of actions, made from a seed and from nothing else.

An action means something whatever comes before it, so a script stays a script when actions are left out: that is how
a failing one is shrunk.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from riverrun.testing.memory_log import Failure
from riverrun.testing.small_world import Layout, answered, asked, layout_of

__all__ = ["BAD", "LAYOUTS", "Action", "Message", "Script", "make_script"]

BAD: Final = ""
"""In place of the id: the message is to become a dead letter."""

LAYOUTS: Final[dict[int, tuple[Layout, ...]]] = {
    1: tuple(
        layout_of(text)
        for text in (
            "ingest+features+score+labels+drift-inputs+learn+drift-errors",
            "ingest features+score+labels+drift-inputs+learn+drift-errors",
            "ingest+features score+labels+drift-inputs+learn drift-errors",
            "ingest features score labels drift-inputs learn drift-errors",
            "ingest+features+score labels+learn+drift-errors drift-inputs",
        )
    ),
    2: tuple(
        layout_of(text)
        for text in (
            "ingest+features+score+labels+drift-inputs learn drift-errors",
            "ingest features score labels drift-inputs learn drift-errors",
            "ingest features+score+labels drift-inputs learn drift-errors",
        )
    ),
}
"""Chains that may be run, by the number of partitions; the stages of drift run only where it is watched."""

_MINUTE: Final = 60_000
_MOST_POINTS: Final = 60


class Chance(Random):
    """All that is left to chance, which follows from a seed."""


class Message(NamedTuple):
    """What a producer sends: the key, the value, and the event's id if it is a good one."""

    stream: str
    who: str
    value: bytes
    id: str


class Action(NamedTuple):
    """One thing that happens; what the numbers mean depends on the kind."""

    kind: str
    who: int = 0
    at: int = 0
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Script:
    """A simulation before it is run.

    Parameters
    ----------
    partitions
        Of the producers' topics.
    batch_limit
        Most records in one transaction.
    labels_default
        Whether a label that does not come is taken for False; else the prediction expires.
    watched
        Whether drift is watched.
    actions
        What happens, in order.
    """

    partitions: int
    batch_limit: int
    labels_default: bool
    watched: bool
    actions: tuple[Action, ...]


def make_script(seed: int) -> Script:
    """Return the script of a seed."""
    rng = Chance(seed)
    # To watch for drift, and to judge it, costs as much time as all the rest: every third seed does.
    watched = seed % 3 == 2
    partitions = rng.choice((1, 1, 2))
    messages = _messages(rng, moving=watched)
    share = len(messages) / 9
    chunks = [tuple(messages[round(n * share) : round((n + 1) * share)]) for n in range(9)]
    actions: list[Action] = []
    for chunk in chunks:
        kind = "tear" if rng.random() < 0.25 else "publish"
        actions.append(Action(kind, rng.randrange(6), rng.randrange(1, 16), chunk))
        actions += [_action(rng, partitions) for _ in range(rng.randrange(2, 7))]
    return Script(partitions, rng.choice((2, 4, 7, 20)), rng.random() < 0.5, watched, tuple(actions))


_KINDS: Final = {
    "round": 14,
    "advance": 3,
    "kill": 3,
    "freeze": 3,
    "start": 1,
    "stop": 1,
    "hold": 2,
    "release": 2,
    "fail": 2,
    "cut": 1,
    "wipe": 1,
    "lose": 1,
    "store": 1,
    "layout": 1,
}


def _action(rng: Chance, partitions: int) -> Action:
    (kind,) = rng.choices(list(_KINDS), list(_KINDS.values()))
    who = rng.randrange(6)
    at = rng.randrange(1, _MOST_POINTS)
    if kind == "layout":
        at = rng.randrange(len(LAYOUTS[partitions]))
    elif kind == "fail":
        at = rng.randrange(len(Failure))
    elif kind == "advance":
        at = rng.choice((2, 30, 200, 2_000, 12_000))
    return Action(kind, who, at)


def _messages(rng: Chance, *, moving: bool) -> list[Message]:
    """Make events that ask and are answered, then repeat some and spoil some.

    Answers come in time, late, never, twice, otherwise the second time, or before they are asked for. If they are
    ``moving``, sizes are other ones from the middle on.
    """
    timed: list[tuple[int, Message]] = []
    count = rng.randrange(8, 16)
    for number in range(count):
        who, place = f"w{number}", rng.choice("xy")
        at = number * 2 * _MINUTE + rng.randrange(_MINUTE)
        size = rng.randrange(9)
        if moving:
            size = size % 2 + (20 if number >= count // 2 else 0)
        timed.append((at, Message("asked", who, asked(number, who, place, at, size), f"a{number}")))
        delays = rng.choices(((5,), (-3,), (45,), (2, 6), (33,), ()), (6, 1, 1, 2, 1, 1))[0]
        for turn, delay in enumerate(delays):
            then = max(0, at + delay * _MINUTE)
            value = answered(2 * number + turn, who, place, then, rng.randrange(6))
            timed.append((then, Message("answered", who, value, f"b{2 * number + turn}")))
    # Some come late: the order of a topic is not that of time.
    order = [(at + (rng.randrange(20) * _MINUTE if rng.random() < 0.2 else 0), message) for at, message in timed]
    messages = [message for _, message in sorted(order)]
    for _ in range(len(messages) // 5):
        messages.insert(rng.randrange(len(messages) // 2, len(messages) + 1), rng.choice(messages))
    for _ in range(rng.randrange(4)):
        messages.insert(rng.randrange(len(messages) + 1), _bad(rng))
    return messages


def _bad(rng: Chance) -> Message:
    number = rng.randrange(16)
    value = rng.choice((b"", b"{", b'{"id": 7}', b"\x00\x00\x00\x00\x07x", asked(number, f"w{number}", "x", 0, -1.0)))
    return Message("asked", f"w{number}", value, BAD)
