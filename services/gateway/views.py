"""What the gateway keeps in memory of compacted and low-rate topics, by following them: models, schemas, alerts."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, NamedTuple

from riverrun.incidents import open_incidents
from riverrun.models.follower import ModelFollower
from riverrun.records.codecs import Codecs
from riverrun.records.headers import Stamp
from riverrun.records.ids import ManifestIds, entry_from_json
from riverrun.records.items import Alert, AlertCommand, ModelAlias, ModelVersion, Source
from riverrun.runtime.ports import Record
from riverrun.subscriptions import MOST_SUBSCRIPTIONS, CommandError, subscription_of

__all__ = ["AlertsView", "Heard", "ModelsView", "Subscription", "offer_schema"]

_ALERTS_KEPT: Final = 10_000
_VERSIONS_KEPT: Final = 10_000
_WAITING: Final = 1_000
"""Alerts that may wait for one slow connection; it is closed then, and can go on where it was."""


class ModelsView:
    """The published versions and aliases, as far as the topic still holds them; also feeds the model follower.

    Parameters
    ----------
    codecs
        Decodes.
    follower
        Loads what is published.
    """

    def __init__(self, codecs: Codecs, follower: ModelFollower) -> None:
        self._codecs = codecs
        self._follower = follower
        self._lock = threading.Lock()
        self._versions: deque[ModelVersion] = deque(maxlen=_VERSIONS_KEPT)
        self._aliases: deque[ModelAlias] = deque(maxlen=_VERSIONS_KEPT)

    def offer(self, record: Record) -> None:
        """Take in a record of the ``models`` topic."""
        item, _ = self._codecs.from_wire(record.value, list(record.headers))
        with self._lock:
            if isinstance(item, ModelVersion):
                self._versions.append(item)
            elif isinstance(item, ModelAlias):
                self._aliases.append(item)
        if isinstance(item, ModelVersion | ModelAlias):
            self._follower.offer(item)

    def versions(self) -> list[ModelVersion]:
        """Return the versions, oldest first."""
        with self._lock:
            return list(self._versions)

    def aliases(self) -> list[ModelAlias]:
        """Return all changes of aliases, oldest first."""
        with self._lock:
            return list(self._aliases)


def offer_schema(ids: ManifestIds) -> Callable[[Record], None]:
    """Return what takes in the records of the ``schemas`` topic, so that ids of other processes are known too."""

    def offer(record: Record) -> None:
        if record.value is not None:
            ids.learn(entry_from_json(record.value))

    return offer


class Heard(NamedTuple):
    """An alert and the offset of its record, by which a listener can go on."""

    offset: int
    alert: Alert


class Subscription(NamedTuple):
    """Who is told of which alerts; holds no secret."""

    name: str
    command: AlertCommand


class AlertsView:
    """The newest alerts, and the subscriptions that commands made; tells listeners of every new alert.

    Made within the event loop of the listeners.

    Parameters
    ----------
    codecs
        Decodes.
    """

    def __init__(self, codecs: Codecs) -> None:
        self._codecs = codecs
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._alerts: deque[Heard] = deque(maxlen=_ALERTS_KEPT)
        self._declared: frozenset[str] = frozenset()
        self._subscriptions: dict[str, AlertCommand] = {}
        self._listeners: set[asyncio.Queue[Heard | None]] = set()

    def offer(self, record: Record) -> None:
        """Take in a record of the ``alerts`` topic."""
        item = self._decode(record)
        if isinstance(item, Alert):
            heard = Heard(record.offset, item)
            with self._lock:
                self._alerts.append(heard)
            self._loop.call_soon_threadsafe(self._tell, heard)

    def offer_command(self, record: Record) -> None:
        """Take in a record of the ``alert-commands`` topic."""
        item = self._decode(record)
        if not isinstance(item, AlertCommand):
            return
        with self._lock:
            if item.action == "subscribe":
                # Others may write commands too; what the alerts service skips is no subscription.
                with suppress(CommandError):
                    name = subscription_of(item).name
                    if name not in self._declared and self._has_room(name):
                        self._subscriptions[name] = item
            elif item.action == "unsubscribe":
                self._subscriptions.pop(item.subscription, None)

    def declare(self, names: Iterable[str]) -> None:
        """Leave names to the pipeline file: what commands say of them is none, as for the alerts service."""
        with self._lock:
            self._declared = frozenset(names)
            for name in self._declared:
                self._subscriptions.pop(name, None)

    def has_room(self, name: str) -> bool:
        """Tell whether a subscription of this name can be made: there is one to be replaced, or not too many."""
        with self._lock:
            return self._has_room(name)

    def _has_room(self, name: str) -> bool:
        return name in self._subscriptions or len(self._subscriptions) < MOST_SUBSCRIPTIONS

    def _decode(self, record: Record) -> object:
        # These need no headers: whoever writes them may be another client.
        stamp = Stamp(record.partition, record.offset, Source(record.topic, record.partition, record.offset))
        return None if record.value is None else self._codecs.decode(record.value, stamp)

    def alerts(self, after: int = -1) -> list[Heard]:
        """Return the alerts behind an offset, oldest first."""
        with self._lock:
            return [heard for heard in self._alerts if heard.offset > after]

    def find(self, name: str) -> Alert | None:
        """Return the newest alert of the incident that a text names, by its own id or an alert's; None if none is."""
        heard = self.alerts()
        incident = next((each.alert.incident for each in heard if name in (each.alert.id, each.alert.incident)), None)
        return next((each.alert for each in reversed(heard) if each.alert.incident == incident), None)

    def open_incidents(self) -> frozenset[str]:
        """Return the incidents that can be acknowledged."""
        return frozenset(open_incidents(heard.alert for heard in self.alerts()))

    def subscriptions(self) -> list[Subscription]:
        """Return the subscriptions in force that were made by commands, by name."""
        with self._lock:
            return [Subscription(name, command) for name, command in sorted(self._subscriptions.items())]

    def listen(self) -> asyncio.Queue[Heard | None]:
        """Return a queue that gets every new alert; None in it says that it was too slow."""
        queue: asyncio.Queue[Heard | None] = asyncio.Queue(_WAITING + 1)
        self._listeners.add(queue)
        return queue

    def leave(self, queue: asyncio.Queue[Heard | None]) -> None:
        """Stop telling a listener."""
        self._listeners.discard(queue)

    def _tell(self, heard: Heard) -> None:
        for queue in list(self._listeners):
            if queue.qsize() < _WAITING:
                queue.put_nowait(heard)
            else:
                self._listeners.discard(queue)
                queue.put_nowait(None)

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)
