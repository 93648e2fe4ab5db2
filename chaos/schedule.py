"""What strikes when: from a seed, each kind as often as is asked for, alone and two at a time."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Final

from chaos.act import Act
from chaos.layouts import LAYOUTS, Layout
from chaos.scene import Kind
from chaos.services import STAGES

__all__ = ["LONG", "SHORT", "Size", "all_kinds", "plan_digest", "schedule"]


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is to be.

    Parameters
    ----------
    name
        In the report.
    times
        How often a kind strikes, by the longest beginning of its name that is here; ``""`` for all others.
    pairs
        What share of the faults strikes together with another; of kills of stages any number may, each with this
        probability given those before it.
    per_act
        Most faults in one scene; then another is set.
    overload_s
        For how long twice too much is published.
    """

    name: str
    times: Mapping[str, int]
    pairs: float
    per_act: int
    overload_s: float

    def times_of(self, kind: str) -> int:
        """Return how often a kind is to strike."""
        best = max((start for start in self.times if kind.startswith(start)), key=len)
        return self.times[best]


_SERVICES: Final = (*STAGES, "drift", "alerts", "gateway")

SHORT: Final = Size("short", {"": 1, "zombie": 3, "network.held-frame": 2}, pairs=0.1, per_act=40, overload_s=15.0)
LONG: Final = Size(
    "long",
    {
        "": 3,
        **{f"kill.{service}": 200 for service in _SERVICES},
        "kill.chain": 20,
        "kill.all": 20,
        "failpoint.": 20,
        "alerts.failpoint.": 20,
        "beside.": 10,
        "zombie": 100,
        "kafka.killed": 20,
        "kafka.paused": 20,
        "kafka.one-of-three": 10,
        "redis.killed": 30,
        "redis.wiped": 20,
        "network.held-frame": 50,
        "network.cut-": 10,
        "snapshot": 30,
        "checkpoint": 25,
    },
    pairs=0.75,
    per_act=250,
    overload_s=60.0,
)

_KILLS: Final = frozenset(f"kill.{service}" for service in _SERVICES)
"""Kills of one service each: of several, each has its own."""
_KILLS_OF_STAGES: Final = frozenset(f"kill.{stage}" for stage in STAGES)

_AMONG_OTHERS: Final = 0.3

_NEVER_TOGETHER: Final = (
    # These end and start the process or server that the others work on, or wait for it to answer.
    frozenset({"kafka.", "sigterm.", "stages.", "checkpoint.", "snapshot."}),
    frozenset({"redis.", "sigterm.redis-away"}),
    frozenset({"kill.", "sigterm.", "stages.", "failpoint.", "member.", "zombie"}),
    frozenset({"kill.", "sigterm.", "stages.", "snapshot.", "checkpoint.", "store.", "state."}),
    frozenset({"network."}),
    frozenset({"beside."}),
    # A proxy waits for the broker behind it, and a process that is asked to drain for its servers.
    frozenset({"beside.", "network.held-frame", "network.lost-answer", "sigterm."}),
    frozenset({"beside.", "network.redis"}),
    frozenset({"alerts.", "kill.alerts"}),
    frozenset({"alerts.kafka-killed", "sigterm."}),
)


def all_kinds() -> list[str]:
    """Return the names of all kinds that strike."""
    return [kind.name for layout in LAYOUTS for kind in layout.kinds]


def schedule(size: Size, seed: int, only: Collection[str] = ()) -> Iterator[Act]:
    """Return the acts of a run, those of all layouts in turn.

    Parameters
    ----------
    size
        How much.
    seed
        Decides the order, and what strikes together.
    only
        Beginnings of the names of kinds; all unless given.
    """
    rng = random.Random(seed)
    queues = []
    for layout in LAYOUTS:
        kinds = [kind for kind in layout.kinds if not only or any(kind.name.startswith(each) for each in only)]
        faults = [kind for kind in kinds for _ in range(size.times_of(kind.name))]
        rng.shuffle(faults)
        if faults:
            queues.append(_acts(layout, faults, size, rng))
    while queues:
        for acts in tuple(queues):
            act = next(acts, None)
            if act is None:
                queues.remove(acts)
            else:
                yield act


def plan_digest(acts: Iterable[Act]) -> str:
    """Return a digest of what strikes when."""
    text = "\n".join(f"{act.layout.name} {[[kind.name for kind in kinds] for kinds in act.faults]}" for act in acts)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _acts(layout: Layout, faults: list[Kind], size: Size, rng: random.Random) -> Iterator[Act]:
    count = math.ceil(len(faults) / size.per_act)
    share = math.ceil(len(faults) / count)
    for number in range(count):
        yield Act(layout, tuple(_paired(faults[number * share : (number + 1) * share], size.pairs, rng)))


def _paired(faults: list[Kind], pairs: float, rng: random.Random) -> Iterator[tuple[Kind, ...]]:
    """Let each fault strike by itself, or with one of those that it can strike together with; kills with several."""
    waiting = list(faults)
    while waiting:
        together = [waiting.pop(0)]
        while rng.random() < pairs:
            partners = [other for other in waiting if _joins(other.name, {kind.name for kind in together})]
            if not partners:
                break
            # Kills are by far the most: whatever else there is would hardly ever meet its like.
            others = [other for other in partners if other.name not in _KILLS]
            partner = rng.choice(others if others and rng.random() < _AMONG_OTHERS else partners)
            waiting.remove(partner)
            together.append(partner)
        yield tuple(sorted(together, key=lambda kind: kind.name))


def _joins(name: str, others: Set[str]) -> bool:
    """Tell whether a fault may strike together with others: more than two at a time only kill, and only stages."""
    if len(others) > 1 and not {name, *others} <= _KILLS_OF_STAGES:
        return False
    return all(_together(name, other) for other in others)


def _together(one: str, other: str) -> bool:
    if one != other and {one, other} <= _KILLS:
        return True
    return not any(
        any(one.startswith(each) for each in group) and any(other.startswith(each) for each in group)
        for group in _NEVER_TOGETHER
    )
