"""Point look-ups of feature partials for an event loop: many callers, one connection, one write a turn of the loop.

Replies belong to whoever asked first: they are handed out in the order of the commands. A caller that was cancelled
keeps its place in that order, so that nobody is given another's reply.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol, cast

import redis

from riverrun.adapters.redis_errors import denial
from riverrun.adapters.redis_partials import group_key
from riverrun.adapters.redis_replies import Replies, Reply
from riverrun.errors import SettingsError, UnavailableError
from riverrun.runtime.packed import unpack
from riverrun.runtime.ports import PartialEntry

__all__ = ["Place", "RedisLookup", "check_access"]

_LOG: Final = logging.getLogger(__name__)
_TIMEOUT_S: Final = 2.0
_PAUSE_S: Final = 0.25
"""How long after a failure nothing is tried again: callers are told at once instead of each waiting for a timeout."""


class Place(Protocol):
    """Where a partial is stored."""

    @property
    def partition(self) -> int:
        """The partition."""
        ...

    @property
    def group(self) -> str:
        """The group of entities."""
        ...

    @property
    def entity(self) -> str:
        """The entity."""
        ...


class _Asked(NamedTuple):
    """Commands of one caller that wait for their replies."""

    future: asyncio.Future[list[Reply]]
    replies: list[Reply]
    wanted: int
    since: float


class _Connection(asyncio.Protocol):
    """One connection: keeps the order of commands and replies."""

    def __init__(self) -> None:
        self.asked: deque[_Asked] = deque()
        self.closed = False
        self._replies = Replies()
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            found = self._replies.feed(data)
        except UnavailableError as error:
            self.fail(error)
            return
        asked = self.asked
        for reply in found:
            if not asked:
                self.fail(UnavailableError("Redis sent a reply that nobody waits for"))
                return
            first = asked[0]
            first.replies.append(reply)
            if len(first.replies) == first.wanted:
                asked.popleft()
                if not first.future.done():
                    first.future.set_result(first.replies)

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(UnavailableError("the connection to Redis broke", hint="it is made again with the next request"))

    def ask(self, commands: bytes, count: int) -> asyncio.Future[list[Reply]]:
        """Send commands with this turn of the loop; the future gets their replies."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Reply]] = loop.create_future()
        self.asked.append(_Asked(future, [], count, loop.time()))
        if not self._unsent:
            loop.call_soon(self._send)
        self._unsent.append(commands)
        return future

    def _send(self) -> None:
        if self._transport is not None and not self.closed:
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def fail(self, error: UnavailableError) -> None:
        """End the connection and tell everybody who waits."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()
        while self.asked:
            future = self.asked.popleft().future
            if not future.done():
                future.set_exception(error)


def check_access(url: str, pipeline: str, *, timeout_s: float = _TIMEOUT_S) -> None:
    """Look whether the user in the URL may look partials up; a server that is away may be asked again later.

    Parameters
    ----------
    url, pipeline, timeout_s
        As for `RedisLookup`.

    Raises
    ------
    AccessDeniedError
        If the server does not know this user, or does not let it read.
    """
    try:
        with redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s) as client:
            client.ping()
            client.hget(group_key(pipeline, 0, ""), "")
    except redis.RedisError as error:
        refused = denial("Redis", error)
        if refused is not None:
            raise refused from None
        _LOG.warning("Redis is not there yet: %s", type(error).__name__)


class RedisLookup:
    """Reads the partials that workers have stored; never writes.

    Made and used in one event loop. Connects with the first look-up, and again when the connection was lost.

    Parameters
    ----------
    url : str
        As for :class:`~riverrun.adapters.redis_partials.RedisPartials`.
    pipeline : str
        The pipeline's name.
    timeout_s : float
        Longest wait for a connection or a reply, in seconds.

    Raises
    ------
    SettingsError
        If the URL is malformed. The message does not repeat it, since it may hold a password.
    """

    def __init__(self, url: str, pipeline: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        try:
            # Only read, never connected: nothing else parses what redis-py's users write.
            self._where: dict[str, object] = redis.Redis.from_url(url).connection_pool.connection_kwargs
        except (ValueError, TypeError):
            raise SettingsError("the URL of Redis is malformed", hint="write redis://host:port/database") from None
        self._secure = url.startswith("rediss:")
        self._pipeline = pipeline
        self._timeout_s = timeout_s
        self._connection: _Connection | None = None
        self._connecting: asyncio.Task[_Connection] | None = None
        self._not_before = 0.0
        self._trouble = UnavailableError("Redis was not asked yet")
        self._heads: dict[tuple[int, str], bytes] = {}
        self._watch: asyncio.TimerHandle | None = None

    async def read(self, places: Sequence[Place]) -> list[PartialEntry | None]:
        """Return the entry at each place, or None where nothing is stored.

        Raises
        ------
        UnavailableError
            If Redis does not answer in time, or refuses.
        """
        if not places:
            return []
        connection = self._connection
        if connection is None or connection.closed:
            connection = await self._connected()
        replies = await connection.ask(b"".join([self._command(place) for place in places]), len(places))
        found: list[PartialEntry | None] = []
        for place, reply in zip(places, replies, strict=True):
            if isinstance(reply, UnavailableError):
                raise reply
            found.append(None if reply is None else unpack(place.entity, reply))
        return found

    async def check(self) -> None:
        """Ask for a sign of life; raises as `read` does."""
        connection = self._connection
        if connection is None or connection.closed:
            connection = await self._connected()
        (reply,) = await connection.ask(_command("PING"), 1)
        if isinstance(reply, UnavailableError):
            raise reply

    def close(self) -> None:
        """Release the connection."""
        if self._watch is not None:
            self._watch.cancel()
        if self._connection is not None:
            self._connection.fail(UnavailableError("the gateway is stopping"))

    def _command(self, place: Place) -> bytes:
        where = (place.partition, place.group)
        head = self._heads.get(where)
        if head is None:
            key = group_key(self._pipeline, *where).encode()
            head = self._heads[where] = b"*3\r\n$4\r\nHGET\r\n$%d\r\n%b\r\n$" % (len(key), key)
        entity = place.entity.encode()
        return b"%b%d\r\n%b\r\n" % (head, len(entity), entity)

    async def _connected(self) -> _Connection:
        """Return a connection, made by one task however many wait for it."""
        if time.monotonic() < self._not_before:
            raise self._trouble
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
        # Shielded: a caller that goes away must not take the others' connection with it.
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> _Connection:
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._open()
                await self._greet(connection)
        except UnavailableError as error:
            raise self._failed(error) from None
        except (OSError, TimeoutError) as error:
            text = f"Redis cannot be reached: {type(error).__name__}"
            raise self._failed(UnavailableError(text, hint="check that it runs and that its URL is right")) from error
        finally:
            self._connecting = None
        self._connection = connection
        self._look_after(connection)
        return connection

    def _failed(self, trouble: UnavailableError) -> UnavailableError:
        """Remember why there is no connection, for whoever asks before it is tried again."""
        self._trouble = trouble
        self._not_before = time.monotonic() + _PAUSE_S
        return trouble

    async def _open(self) -> _Connection:
        loop = asyncio.get_running_loop()
        where = self._where
        path = where.get("path")
        if path:
            _, connection = await loop.create_unix_connection(_Connection, str(path))
            return connection
        context = _tls(where) if self._secure else None
        host, port = str(where.get("host", "localhost")), int(str(where.get("port", 6379)))
        _, connection = await loop.create_connection(_Connection, host, port, ssl=context)
        return connection

    async def _greet(self, connection: _Connection) -> None:
        where = self._where
        commands = []
        if where.get("password"):
            user = [str(where["username"])] if where.get("username") else []
            commands.append(_command("AUTH", *user, str(where["password"])))
        if where.get("db"):
            commands.append(_command("SELECT", str(where["db"])))
        if commands:
            for reply in await connection.ask(b"".join(commands), len(commands)):
                if isinstance(reply, UnavailableError):
                    connection.fail(reply)
                    raise reply

    def _look_after(self, connection: _Connection) -> None:
        """End a connection whose oldest question has waited too long: one timer for all, not one for each."""
        if connection.closed:
            return
        loop = asyncio.get_running_loop()
        if connection.asked and loop.time() - connection.asked[0].since > self._timeout_s:
            connection.fail(UnavailableError(f"Redis did not answer within {self._timeout_s} s"))
            return
        self._watch = loop.call_later(self._timeout_s / 4, self._look_after, connection)


def _command(*words: str) -> bytes:
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word.encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def _tls(where: dict[str, object]) -> ssl.SSLContext:
    ca = where.get("ssl_ca_certs")
    context = ssl.create_default_context(cafile=str(ca) if ca else None)
    if where.get("ssl_certfile"):
        key = where.get("ssl_keyfile")
        context.load_cert_chain(str(where["ssl_certfile"]), str(key) if key else None)
    return context
