"""Promise 1, Redis: what is stored of each entity is what its partition's events amount to, up to its position.

The format is decoded here once more, from its description: little-endian, a version byte, eight bytes of the group's
fingerprint, the number of windows (u16); for each its number (u16), the newest pane (i64) and the number of panes
(u16); for each, how many panes it is before the newest (u16) and a row: first the states of fixed size, packed, then
the others. In Redis a big-endian position (u64) comes before all that.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final, Protocol, cast

import redis
from redis import exceptions

from riverrun.audit.groups import Group, Layout, Window
from riverrun.audit.panes import Entity, Panes, is_forgotten
from riverrun.audit.report import Check
from riverrun.audit.subject import Subject
from riverrun.errors import AccessDeniedError, UnavailableError

__all__ = ["RedisEntries", "StoredPartials"]

_POSITION: Final = struct.Struct(">Q")
_HEAD: Final = struct.Struct("<B8sH")
_WINDOW: Final = struct.Struct("<HqH")
_NEVER: Final = -(1 << 62)
_FIXED: Final = {"count": "q", "sum": "d", "mean": "qd", "variance": "qdd", "decayed_mean": "ddq"}
_NOTHING: Final[dict[str, tuple[object, ...]]] = {
    "count": (0,),
    "sum": (0.0,),
    "mean": (0, 0.0),
    "variance": (0, 0.0, 0.0),
    "decayed_mean": (0.0, 0.0, _NEVER),
    "min": (None,),
    "max": (None,),
    "last": (_NEVER, None),
    "distinct": (b"",),
    "quantile": ((), b""),
}

_Row = tuple[tuple[object, ...], ...]
_Windows = dict[int, tuple[int, dict[int, _Row]]]
"""By the window's number: its newest pane, and the rows by pane."""


class _Client(Protocol):
    """What is used of ``redis.Redis``; its own annotations mix results with awaitables."""

    def get(self, name: str) -> bytes | None: ...

    def hscan_iter(self, name: str, count: int) -> Iterable[tuple[bytes, bytes]]: ...


class RedisEntries:
    """The partials of a pipeline in Redis.

    Parameters
    ----------
    url
        As redis-py reads it.
    pipeline
        The pipeline's name.
    """

    def __init__(self, url: str, pipeline: str) -> None:
        self._client = cast("_Client", redis.Redis.from_url(url, decode_responses=False, socket_timeout=30.0))
        self._pipeline = pipeline

    def marker(self, partition: int) -> int | None:
        """Return the position up to which a partition's entries are complete; None if Redis was wiped.

        Raises
        ------
        UnavailableError
            If Redis does not answer.
        """
        try:
            found = self._client.get(f"riverrun:{{{self._pipeline}:{partition}}}:marker")
        except redis.RedisError as error:
            raise _unreadable(error) from error
        return None if found is None else int(found)

    def entries(self, partition: int, group: str) -> Iterable[tuple[str, bytes]]:
        """Iterate over a group's entities; raises as `marker` does."""
        key = f"riverrun:{{{self._pipeline}:{partition}}}:g:{group}"
        try:
            for name, value in self._client.hscan_iter(key, count=1_000):
                yield name.decode(), value
        except redis.RedisError as error:
            raise _unreadable(error) from error


def _unreadable(error: redis.RedisError) -> UnavailableError | AccessDeniedError:
    if isinstance(error, redis.AuthenticationError | exceptions.NoPermissionError):
        return AccessDeniedError(
            f"Redis does not permit this user to read partials: {type(error).__name__}",
            hint="`riverrun access FILE` tells what is needed",
        )
    return UnavailableError(f"cannot read Redis: {type(error).__name__}", hint="is it up?")


class StoredPartials:
    """What was stored of one partition when the audit began, compared as the fold comes by.

    Parameters
    ----------
    subject, layout, partition
        What is audited.
    check
        Takes what is wrong.
    """

    def __init__(self, subject: Subject, layout: Layout, partition: int, check: Check) -> None:
        self.layout = layout
        self._partition = partition
        self._check = check
        self._key = f"redis riverrun:{{{subject.pipeline.name}:{partition}}}"
        # The marker first: what is stored later can only be ahead of it.
        self.marker = subject.partials.marker(partition)
        self._stored: dict[tuple[int, str], bytes | None] = {
            (number, name): value
            for number, group in enumerate(layout.groups)
            for name, value in subject.partials.entries(partition, group.id)
        }
        self.panes = Panes(layout, partition, self._before)
        if self.marker is None and self._stored:
            check.note = "Redis has no marker: it is being written anew, so nothing was asked of what is missing"

    def _before(self, number: int, name: str, entity: Entity | None, seq: int) -> None:
        """Compare an entity when the first event comes that its stored state does not reflect."""
        key = number, name
        value = self._stored.get(key)
        if value is not None:
            position: int = _POSITION.unpack_from(value)[0]
            if position > seq:
                return
            self._stored[key] = None
            if self.marker is not None and seq < self.marker:
                expected = f"the state after event {seq} at least, since the marker is at {self.marker}"
                self._check.fault(self._place(number, name), expected, f"the state before event {position}")
            self._compare(number, name, entity, value)
        elif key not in self._stored and entity is not None and _crosses(self.marker, entity.position, seq):
            self._ask(number, name, entity)

    def finish(self, end: int) -> None:
        """Compare what is left with the state after the last event, whose position is ``end`` - 1."""
        check = self._check
        for (number, name), value in self._stored.items():
            if value is None:
                continue
            if _POSITION.unpack_from(value)[0] > end:
                found = f"the state before event {_POSITION.unpack_from(value)[0]}"
                check.fault(self._place(number, name), f"nothing beyond the {end} events committed", found)
                continue
            self._compare(number, name, self.panes.entities[number].get(name), value)
        if self.marker is None:
            return
        if self.marker > end:
            check.fault(f"{self._key}:marker", f"at most {end}, which is committed", self.marker)
        for number, entities in enumerate(self.panes.entities):
            for name, entity in entities.items():
                if (number, name) not in self._stored and entity.position <= self.marker:
                    self._ask(number, name, entity)

    def _ask(self, number: int, name: str, entity: Entity) -> None:
        """Note that an entity is missing, unless nothing can read it any more."""
        if not is_forgotten(self.layout.groups[number], entity, self.panes.watermark):
            expected = f"an entry, since event {entity.position - 1} is below the marker {self.marker}"
            self._check.fault(self._place(number, name), expected, "none")

    def _compare(self, number: int, name: str, entity: Entity | None, value: bytes) -> None:
        group, watermark = self.layout.groups[number], self.panes.watermark
        self._check.counted += 1
        place = self._place(number, name)
        position: int = _POSITION.unpack_from(value)[0]
        try:
            stored = _decode(group, value)
        except (struct.error, LookupError, ValueError) as error:
            self._check.fault(place, "an entry in the documented format", f"{type(error).__name__}: {error}")
            return
        expected = {} if entity is None else _states(group, entity)
        for index, window in enumerate(group.windows):
            mine, theirs = _kept(expected, index, window, watermark), _kept(stored, index, window, watermark)
            # The texts tell 0.0 from -0.0 and 1 from 1.0.
            if repr(mine) != repr(theirs):
                wanted, found = _difference(mine, theirs)
                where = f"{window.stream}, {window.panes} panes of {window.pane_ms} ms, events below {position}"
                self._check.fault(place, f"{wanted} ({where})", found)
                return
        if entity is not None and entity.position != position:
            self._check.fault(place, f"position {entity.position}", position)

    def _place(self, number: int, name: str) -> str:
        return f"{self._key}:g:{self.layout.groups[number].id} {name!r}"


def _crosses(marker: int | None, position: int, seq: int) -> bool:
    return marker is not None and position <= marker <= seq


def _difference(mine: dict[int, _Row], theirs: dict[int, _Row]) -> tuple[str, str]:
    for pane in sorted(mine.keys() | theirs.keys()):
        if repr(mine.get(pane)) != repr(theirs.get(pane)):
            return f"pane {pane}: {mine.get(pane)}", f"{theirs.get(pane)}"
    return repr(mine), repr(theirs)


def _kept(windows: _Windows, index: int, window: Window, watermark: int) -> dict[int, _Row]:
    """Return the rows that anything can still read, but those without values."""
    newest, rows = windows.get(index, (_NEVER, {}))
    first = max(newest, watermark // window.pane_ms - window.panes) - window.panes + 1
    nothing = tuple(_NOTHING[column.function] for column in window.columns)
    return {pane: row for pane, row in sorted(rows.items()) if pane >= first and row != nothing}


def _states(group: Group, entity: Entity) -> _Windows:
    """Return an entity's recomputed states in the form in which they are stored."""
    windows: _Windows = {}
    for index, (window, pile) in enumerate(zip(group.windows, entity.piles, strict=True)):
        if pile is not None:
            functions = [column.function for column in window.columns]
            rows = {pane: tuple(map(_state, functions, row)) for pane, row in pile.rows.items()}
            windows[index] = pile.newest, rows
    return windows


def _state(function: str, state: Any) -> tuple[object, ...]:
    if state is None:
        return _NOTHING[function]
    if function == "distinct":
        return (state.serialize(),)
    if function == "quantile":
        return state[0], b"" if state[1] is None else state[1].serialize()
    return state if isinstance(state, tuple) else (state,)


def _decode(group: Group, data: bytes) -> _Windows:
    _, _, count = _HEAD.unpack_from(data, _POSITION.size)
    at = _POSITION.size + _HEAD.size
    windows: _Windows = {}
    for _ in range(count):
        number, newest, panes = _WINDOW.unpack_from(data, at)
        at += _WINDOW.size
        window, rows = group.windows[number], {}
        for _ in range(panes):
            (back,) = struct.unpack_from("<H", data, at)
            rows[newest - back], at = _row(window, data, at + 2)
        windows[number] = newest, rows
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes too many")
    return windows


def _row(window: Window, data: bytes, at: int) -> tuple[_Row, int]:
    states: list[tuple[object, ...]] = []
    for column in window.columns:
        codes = _FIXED.get(column.function)
        if codes is not None:
            states.append(struct.unpack_from("<" + codes, data, at))
            at += struct.calcsize("<" + codes)
        elif column.function == "quantile":
            (length,) = struct.unpack_from("<H", data, at)
            values = struct.unpack_from(f"<{length}d", data, at + 2)
            digest, at = _sized(data, at + 2 + 8 * length)
            states.append((values, digest))
        elif column.function == "distinct":
            sketch, at = _sized(data, at)
            states.append((sketch,))
        elif column.function == "last":
            (time,) = struct.unpack_from("<q", data, at)
            value, at = _value(data, at + 8)
            states.append((time, value))
        else:
            value, at = _value(data, at)
            states.append((value,))
    return tuple(states), at


def _value(data: bytes, at: int) -> tuple[object, int]:
    """Read a value: a kind byte (missing, false, true, integer, double, text, bytes), then the value."""
    kind, at = data[at], at + 1
    if kind <= 2:
        return (None, False, True)[kind], at
    if kind in (3, 4):
        return struct.unpack_from("<q" if kind == 3 else "<d", data, at)[0], at + 8
    body, at = _sized(data, at)
    return (body.decode("utf-8", "surrogatepass") if kind == 5 else body), at


def _sized(data: bytes, at: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from("<I", data, at)
    end = at + 4 + length
    if end > len(data):
        raise ValueError("it ends too early")
    return data[at + 4 : end], end
