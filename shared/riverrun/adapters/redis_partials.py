"""Feature partials in Redis: every write is put-if-newer, decided inside the server."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from importlib import resources
from typing import Final, Protocol
from uuid import uuid4

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from riverrun.adapters.redis_errors import translated
from riverrun.errors import AccessDeniedError, SettingsError
from riverrun.runtime.packed import pack, unpack
from riverrun.runtime.ports import PartialEntry, PartialsUnavailableError

__all__ = ["RedisPartials", "group_key"]

_LOG = logging.getLogger(__name__)

_TIMEOUT_S: Final = 2.0
_ENTRIES_IN_CALL: Final = 500  # Redis's Lua can unpack about 8,000 values onto its stack; a call blocks the server.
_CALLS_IN_TRIP: Final = 40
_SCAN_COUNT: Final = 1_000
_LOST: Final = "lost"
"""In place of a word, once one was not found: no server has it, so nothing is marked before all is written anew."""

Command = tuple[str | bytes | int, ...]


class _Pipeline(Protocol):
    def execute_command(self, *args: str | bytes | int) -> object: ...

    def execute(self, raise_on_error: bool) -> list[object]: ...


class _Client(Protocol):
    """The part of ``redis.Redis`` that is used here; its own annotations mix results with awaitables."""

    def execute_command(self, *args: str | bytes | int) -> object: ...

    def pipeline(self, transaction: bool) -> _Pipeline: ...

    def close(self) -> None: ...


class RedisPartials:
    """A :class:`~riverrun.runtime.ports.PartialStore` in Redis 7 or newer.

    Keys are ``riverrun:{<pipeline>:<partition>}:g:<group>`` (a hash: entity to position and partial) and
    ``riverrun:{<pipeline>:<partition>}:marker``, ``...:word`` (left by the last write), and while everything is
    written anew ``...:rewriting``. All keys of a partition have one hash tag, so they share a slot of a cluster.

    Nothing is sent before the first call, and whatever the server lost (a restart drops its functions) is set
    up again when it is missed. Every call may be repeated with no other effect than once, so one that ran
    into a broken connection is tried a second time.

    Parameters
    ----------
    client : redis.Redis
        With ``decode_responses`` off. Closed by ``close``.
    pipeline : str
        The pipeline's name, which keeps its keys apart from others'.
    address : str, default "Redis"
        What messages call the server; without credentials.

    Raises
    ------
    SettingsError
        From the constructor, if the name holds a brace. From the first call, if the server is older than 7,
        may not be used like this by the user given, or would evict partials when its memory is full.
    AccessDeniedError
        From every call, if the server does not accept the user, or does not permit it what is needed.
    PartialsUnavailableError
        From every call, if the server does not answer or refuses for the time being.
    """

    def __init__(self, client: _Client, pipeline: str, *, address: str = "Redis") -> None:
        if "{" in pipeline or "}" in pipeline:
            raise SettingsError(f"the pipeline's name {pipeline!r} holds a brace", hint="rename the pipeline")
        self._client = client
        self._pipeline = pipeline
        self._address = address
        self._library, self._version = _library()
        self._prepared = False
        # The marker's last known position. A marker that falls behind it tells that the server lost writes
        # (it restarted from an older snapshot, or a replica took over), though it is not absent.
        self._marked: dict[int, int] = {}
        self._tokens: dict[int, str] = {}
        # The word that the last round trip of writes has left, where the marker has not moved since.
        self._words: dict[int, str] = {}
        self._unsure: dict[int, str] = {}

    @classmethod
    def connect(cls, url: str, pipeline: str, *, timeout_s: float = _TIMEOUT_S) -> RedisPartials:
        """Make a store from a URL (``redis://``, ``rediss://`` or ``unix://``), without connecting yet.

        Raises
        ------
        SettingsError
            If the URL is malformed. The message does not repeat it, since it may hold a password.
        """
        try:
            client = redis.Redis.from_url(
                url,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                protocol=2,
                decode_responses=False,
                # A pooled connection may have died since its last use. A timeout is not repeated: the caller
                # waits.
                retry=Retry(NoBackoff(), 1, (exceptions.ConnectionError,)),
            )
            place = client.connection_pool.connection_kwargs
            address = str(place.get("path") or f"{place.get('host', 'localhost')}:{place.get('port', 6379)}")
        except (ValueError, TypeError):
            raise SettingsError(
                "the URL of Redis is malformed",
                hint="write redis://[[user]:password@]host[:port][/database], special characters as %XX",
            ) from None
        return cls(client, pipeline, address=f"Redis at {address}")

    def check(self) -> None:
        """Check the server's settings and load the functions now, rather than with the first call."""
        try:
            self._prepare()
        except exceptions.RedisError as error:
            raise translated(self._address, error) from error

    def put(self, partition: int, group: str, entries: Sequence[PartialEntry]) -> int:
        """Write the entries that are newer than what is stored; return how many were."""
        return self.put_groups(partition, [(group, entries)])

    def put_groups(self, partition: int, groups: Sequence[tuple[str, Sequence[PartialEntry]]]) -> int:
        """Write the entries of several groups that are newer, in one round trip; return how many were."""
        commands: list[Command] = []
        function = f"riverrun_put_{self._version}"
        for group, entries in groups:
            key = self._group_key(partition, group)
            for start in range(0, len(entries), _ENTRIES_IN_CALL):
                command: list[str | bytes | int] = ["FCALL", function, 1, key]
                for entity, position, value in entries[start : start + _ENTRIES_IN_CALL]:
                    command.append(entity.encode())
                    command.append(pack(position, value))
                commands.append(tuple(command))
        written, room = 0, _CALLS_IN_TRIP - 1
        for start in range(0, len(commands), room):
            written += self._put_trip(partition, commands[start : start + room])
        return written

    def _put_trip(self, partition: int, commands: Sequence[Command]) -> int:
        """Make a round trip of writes, which sees whether those before it are there, and leaves a word that it was."""
        before = self._words.get(partition, "")
        # The same one again if the last trip failed: perhaps it has left it.
        word = self._unsure.setdefault(partition, uuid4().hex)
        step: Command = ("FCALL", f"riverrun_step_{self._version}", 1, self._word_key(partition), before, word)
        *replies, kept = self._run([*commands, step])
        del self._unsure[partition]
        self._words[partition] = word if _number(kept) else _LOST
        return sum(map(_number, replies))

    def delete(self, partition: int, group: str, entries: Sequence[tuple[str, int]]) -> None:
        """Delete entities whose stored position is not newer than the given one."""
        key = self._group_key(partition, group)
        commands: list[Command] = []
        for start in range(0, len(entries), _ENTRIES_IN_CALL):
            command: list[str | bytes | int] = ["FCALL", f"riverrun_delete_{self._version}", 1, key]
            for entity, position in entries[start : start + _ENTRIES_IN_CALL]:
                command.append(entity.encode())
                command.append(position)
            commands.append(tuple(command))
        self._run(commands)

    def scan(self, partition: int, group: str) -> Iterator[PartialEntry]:
        """Iterate over a partition's group; an entry written meanwhile may come twice or not at all."""
        for entries in self.scan_packed(partition, group):
            for entity, packed in entries.items():
                yield unpack(entity, packed)

    def scan_packed(self, partition: int, group: str) -> Iterator[Mapping[str, bytes]]:
        """Iterate over a partition's group, many entries at a time; as `scan`."""
        key = self._group_key(partition, group)
        cursor = 0
        while True:
            (reply,) = self._run([("HSCAN", key, cursor, "COUNT", _SCAN_COUNT)])
            if not isinstance(reply, tuple | list):
                raise self._unexpected(reply)
            cursor, fields = reply
            yield {entity.decode(): packed for entity, packed in fields.items()}
            if cursor == 0:
                return

    def read(self, group: str, entities: Sequence[str], partitions: Sequence[int]) -> list[list[PartialEntry | None]]:
        """Return, for each entity, its entry in each of the partitions."""
        rows: list[list[PartialEntry | None]] = [[] for _ in entities]
        if not entities:
            return rows
        names = [entity.encode() for entity in entities]
        starts = range(0, len(names), _ENTRIES_IN_CALL)
        commands: list[Command] = [
            ("HMGET", self._group_key(partition, group), *names[start : start + _ENTRIES_IN_CALL])
            for partition in partitions
            for start in starts
        ]
        replies = iter(self._run(commands))
        for _ in partitions:
            for start in starts:
                reply = next(replies)
                if not isinstance(reply, list):
                    raise self._unexpected(reply)
                for index, stored in enumerate(reply, start):
                    rows[index].append(None if stored is None else unpack(entities[index], stored))
        return rows

    def marker(self, partition: int) -> int | None:
        """Return the position that the partition's state is complete to, or None when it was wiped."""
        (reply,) = self._run([("GET", self._marker_key(partition))])
        if reply is None:
            self._marked.pop(partition, None)
            return None
        position = self._marked[partition] = _number(reply)
        return position

    def mark(self, partition: int, position: int) -> bool:
        """Advance the marker (never back); False if it was absent or set back, or what was written before it is lost.

        Any of them means that the server lost writes, so that everything must be written again before ``reset``.
        """
        known = self._marked.get(partition, 0)
        function = f"riverrun_mark_{self._version}"
        keys = self._marker_key(partition), self._word_key(partition)
        (reply,) = self._run([("FCALL", function, 2, *keys, position, known, self._words.get(partition, ""))])
        if _number(reply) == 0:
            return False
        self._words.pop(partition, None)
        self._marked[partition] = max(known, position)
        return True

    def begin(self, partition: int) -> None:
        """Announce, under a token of this client's, that everything will be written anew; delete the marker."""
        token = self._tokens[partition] = uuid4().hex
        self._run([("SET", self._rewriting_key(partition), token), ("UNLINK", self._marker_key(partition))])
        self._marked.pop(partition, None)
        self._words.pop(partition, None)

    def reset(self, partition: int, position: int) -> bool:
        """Set the marker after everything was rewritten; False if others have cleared or begun since ``begin``.

        A member that was replaced may do so too, wrongly: then the marker is behind where its successor has
        seen it, and the successor's next ``mark`` returns False. Without ``begin`` what is stored counts as all.
        """
        token = self._tokens.pop(partition, None)
        if token is None:
            self._run([("SET", self._marker_key(partition), position)])
        else:
            function = f"riverrun_reset_{self._version}"
            keys = self._marker_key(partition), self._rewriting_key(partition), self._word_key(partition)
            (reply,) = self._run([("FCALL", function, 3, *keys, token, position, self._words.get(partition, ""))])
            if _number(reply) == 0:
                return False
        self._words.pop(partition, None)
        self._marked[partition] = position
        return True

    def clear(self, partition: int, groups: Sequence[str]) -> None:
        """Delete the marker and all entries of these groups, in one command: no other comes between."""
        keys = [self._group_key(partition, group) for group in groups]
        own = self._marker_key(partition), self._rewriting_key(partition), self._word_key(partition)
        self._run([("UNLINK", *own, *keys)])
        self._marked.pop(partition, None)

    def close(self) -> None:
        """Release the connections."""
        with suppress(exceptions.RedisError):
            self._client.close()

    def _group_key(self, partition: int, group: str) -> str:
        return group_key(self._pipeline, partition, group)

    def _marker_key(self, partition: int) -> str:
        return f"riverrun:{{{self._pipeline}:{partition}}}:marker"

    def _rewriting_key(self, partition: int) -> str:
        return f"riverrun:{{{self._pipeline}:{partition}}}:rewriting"

    def _word_key(self, partition: int) -> str:
        return f"riverrun:{{{self._pipeline}:{partition}}}:word"

    def _run(self, commands: Sequence[Command]) -> list[object]:
        """Send commands in as few round trips as their number allows; return the replies in order."""
        replies: list[object] = []
        try:
            if not self._prepared:
                self._prepare()
            for start in range(0, len(commands), _CALLS_IN_TRIP):
                replies += self._trip(commands[start : start + _CALLS_IN_TRIP])
        except exceptions.RedisError as error:
            raise translated(self._address, error) from error
        return replies

    def _trip(self, commands: Sequence[Command]) -> list[object]:
        replies = self._send(commands)
        missed = [index for index, reply in enumerate(replies) if _is_function_missing(reply)]
        if missed:
            self._prepare()
            for index, reply in zip(missed, self._send([commands[index] for index in missed]), strict=True):
                replies[index] = reply
        for reply in replies:
            if isinstance(reply, exceptions.RedisError):
                raise reply
        return replies

    def _send(self, commands: Sequence[Command]) -> list[object]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return pipeline.execute(raise_on_error=False)

    def _prepare(self) -> None:
        self._prepared = False
        self._check_policy()
        try:
            self._client.execute_command("FUNCTION", "LOAD", "REPLACE", self._library)
        except exceptions.NoPermissionError:
            raise AccessDeniedError(
                f"{self._address} does not permit this user to load functions",
                hint="allow +function|load: `riverrun access FILE` tells what each service needs",
            ) from None
        except exceptions.ResponseError as error:
            if "unknown command" not in str(error).lower():
                raise
            raise SettingsError(f"{self._address} knows no functions", hint="use Redis 7 or newer, or Valkey") from None
        self._prepared = True

    def _check_policy(self) -> None:
        """Refuse a server that drops keys when its memory is full: a partial would silently be too small."""
        memory = self._client.execute_command("INFO", "memory")
        if not isinstance(memory, dict):
            return
        # Our keys have no time to live, so the volatile-* policies leave them alone.
        policy = str(memory.get("maxmemory_policy", "noeviction"))
        if not policy.startswith("allkeys"):
            return
        hint = "set maxmemory-policy to noeviction"
        if memory.get("maxmemory"):
            raise SettingsError(f"{self._address} evicts keys when its memory is full ({policy})", hint=hint)
        _LOG.warning("%s would evict keys if maxmemory were set (%s): %s", self._address, policy, hint)

    def _unexpected(self, reply: object) -> PartialsUnavailableError:
        return PartialsUnavailableError(f"{self._address} sent an unexpected reply ({type(reply).__name__})")


def _library() -> tuple[str, str]:
    """Return the function library and its version: a digest, so that releases never overwrite others'."""
    source = resources.files("riverrun.adapters").joinpath("redis_partials.lua").read_text(encoding="utf-8")
    version = sha256(source.encode()).hexdigest()[:8]
    return source.replace("@VERSION@", version), version


def _is_function_missing(reply: object) -> bool:
    return isinstance(reply, exceptions.ResponseError) and "Function not found" in str(reply)


def group_key(pipeline: str, partition: int, group: str) -> str:
    """Return the key of the hash that holds a partition's partials of one group."""
    return f"riverrun:{{{pipeline}:{partition}}}:g:{group}"


def _number(reply: object) -> int:
    return int(reply) if isinstance(reply, int | bytes) else 0
