"""Every way in which a service can be degraded: named, explained, with what it still does and what to do, in one place.

`Conditions` keeps which of them hold now, where, since when and why; health, metrics, commit records and the command
line all tell from it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Self

from riverrun.errors import Dependency, RiverrunError, UnavailableError

__all__ = ["Condition", "Conditions", "Degradation", "degradation_of"]


class Degradation(StrEnum):
    """What is wrong with a service that runs on.

    Examples
    --------
    >>> Degradation("redis_away").still
    'Predictions go on from memory; with several partitions, those that need another partition wait.'
    """

    explanation: str
    still: str
    advice: str

    def __new__(cls, code: str, explanation: str, still: str, advice: str) -> Self:
        """Make a member from its code, what it means, what still works, and what to do."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.explanation, member.still, member.advice = explanation, still, advice
        return member

    KAFKA_AWAY = (
        "kafka_away",
        "Kafka does not answer.",
        "Nothing is lost and nothing is predicted: what is folded waits for its commit.",
        "Bring the brokers back, or mend the network or the credentials; the service goes on by itself.",
    )
    REDIS_AWAY = (
        "redis_away",
        "Redis does not answer, or refuses writes: feature state trails further behind Kafka.",
        "Predictions go on from memory; with several partitions, those that need another partition wait.",
        "Bring Redis back or give it memory (maxmemory-policy must be noeviction); what it lacks is written again.",
    )
    MODEL_STORE_AWAY = (
        "model_store_away",
        "The model store cannot be read or written: new versions are not published.",
        "Learning and predictions go on; snapshots wait in memory, scorers keep the versions that they have.",
        "Check RIVERRUN_MODEL_STORE, its disk, bucket and permissions.",
    )
    LOCAL_STATE_AWAY = (
        "local_state_away",
        "The local store cannot be written: its disk is full, or its folder is not writable.",
        "Everything goes on from memory, until a restart, which would fold more of the log again.",
        "Free space on the disk that holds RIVERRUN_DATA, or mend its permissions.",
    )
    REGISTRY_AWAY = (
        "registry_away",
        "The schema registry does not answer.",
        "Records of schemas that are known go on; the first of an unknown one holds its partition up.",
        "Bring the registry back, or check SCHEMA_REGISTRY_URL and its credentials.",
    )
    DEPENDENCY_AWAY = (
        "dependency_away",
        "Something that the service needs does not answer.",
        "It tries again, ever more seldom, and loses nothing.",
        "The reason names what it is.",
    )
    MODEL_REFUSED = (
        "model_refused",
        "A published model could not be loaded: it is damaged, forged, or of other features.",
        "The last good version of every model stays in use.",
        "Look at `riverrun models list`; check the signing key and the model store. The next good version mends it.",
    )
    RECOVERING = (
        "recovering",
        "A partition is not worked on: it is being restored, or waits for the next attempt.",
        "Other partitions go on; nothing of this one is lost.",
        "Wait while it restores. If it comes back again and again, the reason names what fails.",
    )
    LAGGING = (
        "lagging",
        "More comes in than is folded, or a backlog is being worked off.",
        "Order is kept and nothing is shed; predictions come late.",
        "If the backlog grows, start more members (as many as partitions at most) or make models and features cheaper.",
    )
    STALLED = (
        "stalled",
        "The worker has not come round for a while: it waits in one call.",
        "What was committed stays; nothing new is folded.",
        "The reason names the step. While it commits, Kafka is at fault; else restart the service, which is safe.",
    )


_BY_DEPENDENCY: Final = {
    Dependency.KAFKA: Degradation.KAFKA_AWAY,
    Dependency.REDIS: Degradation.REDIS_AWAY,
    Dependency.MODEL_STORE: Degradation.MODEL_STORE_AWAY,
    Dependency.LOCAL_STATE: Degradation.LOCAL_STATE_AWAY,
    Dependency.SCHEMA_REGISTRY: Degradation.REGISTRY_AWAY,
    Dependency.OTHER: Degradation.DEPENDENCY_AWAY,
}


def degradation_of(error: RiverrunError) -> Degradation:
    """Return what an error says is wrong.

    Examples
    --------
    >>> degradation_of(UnavailableError("no answer"))
    <Degradation.DEPENDENCY_AWAY: 'dependency_away'>
    """
    if isinstance(error, UnavailableError):
        return _BY_DEPENDENCY[error.dependency]
    return Degradation.RECOVERING


class _Place(NamedTuple):
    where: str
    source: str


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is wrong now.

    Attributes
    ----------
    what
        What is wrong.
    where
        The chain and partition, for example ``ingest+features[0]``; empty for the whole process.
    since
        When it began, in seconds since the epoch.
    why
        The newest reason, in words without secrets.
    """

    what: Degradation
    where: str
    since: float
    why: str


class Conditions:
    """What is wrong now, by place. Any thread may tell and ask.

    Examples
    --------
    >>> conditions = Conditions()
    >>> conditions.replace("score[0]", "state", {Degradation.REDIS_AWAY: "connection refused"}, now=7.0)
    True
    >>> [(each.what.value, each.since) for each in conditions.current()]
    [('redis_away', 7.0)]
    >>> conditions.replace("score[0]", "state", {}, now=9.0)
    True
    >>> conditions.current()
    ()
    """

    __slots__ = ("_lock", "_open")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[_Place, dict[Degradation, Condition]] = {}

    def replace(self, where: str, source: str, found: Mapping[Degradation, str], now: float) -> bool:
        """Set all that one source finds wrong at one place; what it no longer names is over.

        Parameters
        ----------
        where
            The chain and partition.
        source
            Who looks: each source has a say on its own findings only.
        found
            What is wrong, with the reasons.
        now
            The time, in seconds since the epoch.

        Returns
        -------
        bool
            Whether anything began or ended.
        """
        place = _Place(where, source)
        with self._lock:
            known = self._open.get(place, {})
            if not known and not found:
                return False
            self._open[place] = {
                what: Condition(what, where, known[what].since if what in known else now, why)
                for what, why in found.items()
            }
            if not found:
                del self._open[place]
            return known.keys() != found.keys()

    def forget(self, where: str) -> None:
        """Drop all that was said of a place: it is no longer this member's."""
        with self._lock:
            for place in [place for place in self._open if place.where == where]:
                del self._open[place]

    def current(self) -> tuple[Condition, ...]:
        """Return what is wrong now, the longest-standing first."""
        with self._lock:
            found = [condition for each in self._open.values() for condition in each.values()]
        return tuple(sorted(found, key=lambda condition: (condition.since, condition.where, condition.what)))

    def of(self, where: str, sources: Sequence[str]) -> dict[str, int]:
        """Return what these sources find wrong at a place by code, and since when, in milliseconds since the epoch."""
        with self._lock:
            found = [each for source in sources for each in self._open.get(_Place(where, source), {}).values()]
        return {each.what.value: int(each.since * 1000) for each in found}
