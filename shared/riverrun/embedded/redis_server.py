"""A Redis of our own, on the loopback interface, with every write in its append-only file."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from riverrun.embedded.listener import Tls, redis_url
from riverrun.embedded.ports import LOOPBACK
from riverrun.embedded.private_file import write_private_file
from riverrun.embedded.server import Server, announce_on_stderr
from riverrun.errors import UnavailableError

__all__ = ["EmbeddedRedis", "RedisSettings"]

MINIMUM_REDIS = 7  # functions, through which state is written, came with it

_PROGRAMS = ("redis-server", "valkey-server")
_VERSION = re.compile(r"\bv=(?P<major>\d+)\.")
_ANSWER_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """How the embedded Redis is set up.

    Attributes
    ----------
    die_with_parent : bool
        See `Server`.
    max_memory_mb : int
        Above this many MiB writes fail (nothing is ever evicted); 0 for no limit.
    tls : optional
        TLS only, with these certificates.
    password : str
        What clients must give; empty for none.
    """

    die_with_parent: bool = True
    max_memory_mb: int = 0
    tls: Tls | None = None
    password: str = field(default="", repr=False)


class EmbeddedRedis(Server):
    """Redis in a folder: start, stop, find again with nothing lost.

    Parameters
    ----------
    folder : Path
        Where it keeps everything; made if missing.
    settings : RedisSettings, optional
        How it is set up.
    announce : callable, optional
        Told in one line what takes time; standard error unless given.
    """

    name: ClassVar[str] = "Redis"
    port_count: ClassVar[int] = 1
    start_timeout_s: ClassVar[float] = 60.0  # a large append-only file takes its time to load
    stop_timeout_s: ClassVar[float] = 15.0

    def __init__(
        self,
        folder: Path,
        settings: RedisSettings | None = None,
        *,
        announce: Callable[[str], None] = announce_on_stderr,
    ) -> None:
        self.settings = settings or RedisSettings()
        super().__init__(folder, die_with_parent=self.settings.die_with_parent, announce=announce)

    @property
    def url(self) -> str:
        """The address in the form of ``RIVERRUN_REDIS``; holds the password if there is one."""
        return redis_url(self.ports[0], self.settings.tls, self.settings.password)

    @property
    def _configuration(self) -> Path:
        return self.folder / "redis.conf"

    def _prepare(self) -> None:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        settings, port = self.settings, self.ports[0]
        lines = [
            f"bind {LOOPBACK}",
            f"port {0 if settings.tls else port}",
            "daemonize no",
            f"dir {_quoted(str(data))}",
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            "maxmemory-policy noeviction",
            f"maxmemory {settings.max_memory_mb}mb",
        ]
        if settings.password:
            lines.append(f"requirepass {_quoted(settings.password)}")
        if settings.tls is not None:
            lines += [
                f"tls-port {port}",
                f"tls-cert-file {_quoted(str(settings.tls.certificate))}",
                f"tls-key-file {_quoted(str(settings.tls.key))}",
                f"tls-ca-cert-file {_quoted(str(settings.tls.ca))}",
                "tls-auth-clients no",
            ]
        write_private_file(self._configuration, "\n".join([*lines, ""]))

    def _command(self) -> list[str]:
        return [_redis_program(), str(self._configuration)]

    def _why_not_ready(self) -> str:
        client = redis.Redis.from_url(
            self.url,
            socket_timeout=_ANSWER_TIMEOUT_S,
            socket_connect_timeout=_ANSWER_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            client.ping()
            folder = client.config_get("dir").get("dir")
        except redis.RedisError as error:
            return f"no answer on {LOOPBACK}:{self.ports[0]}: {error}"
        finally:
            client.close()
        data = str(self.folder / "data")
        return "" if folder == data else f"another Redis, of {folder}, answers on {LOOPBACK}:{self.ports[0]}"


def _redis_program() -> str:
    program = next((found for name in _PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        raise UnavailableError(
            "redis-server is not on the PATH",
            hint="install it (apt-get install redis-server, dnf install redis or valkey, apk add redis or "
            "brew install redis), or set RIVERRUN_REDIS to a Redis you have",
        )
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    match = _VERSION.search(answer)
    if match is None or int(match["major"]) < MINIMUM_REDIS:
        raise UnavailableError(
            f"{program} is too old ({answer.strip()})", hint=f"riverrun needs Redis {MINIMUM_REDIS} or newer"
        )
    return program


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
