"""API keys: made once, shown once, stored as a hash, checked in constant time.

A key is ``rr1.<id>.<secret>``: the id finds its line in the key file, the secret is 256 random bits. The file holds the
secret's SHA-256, which is enough: a slow hash such as scrypt makes guessing dear where people choose the secret, but
nobody guesses 256 random bits, and a hash that takes milliseconds would let strangers keep the service busy with
wrong keys. Whoever reads the file cannot get in with it.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from riverrun.errors import RiverrunError, SettingsError
from riverrun.explained import ExplainedCode

__all__ = ["API_KEYS", "SCOPES", "ApiKey", "KeyChecker", "KeyFile", "KeyFileError", "Scope", "key_file_path"]

API_KEYS: Final = "RIVERRUN_API_KEYS"
"""The setting that says where the key file is; by default ``keys/api-keys.json`` in the data folder."""

_SHAPE: Final = re.compile(r"rr1\.([a-z2-7]{12})\.([A-Za-z0-9_-]{43})", re.ASCII)
_NAME: Final = re.compile(r"[\w .@:/-]{1,100}")
_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 32
_NOBODY: Final = "0" * 64
"""Compared with when there is no key of that id, so that the time does not tell which ids exist."""


class Scope(ExplainedCode):
    """What a key allows; none includes another.

    Examples
    --------
    >>> Scope.PREDICT, Scope.PREDICT.explanation
    (<Scope.PREDICT: 'predict'>, 'Ask for predictions, whose events are published.')
    """

    PUBLISH = "publish", "Publish events to the streams."
    PREDICT = "predict", "Ask for predictions, whose events are published."
    READ = "read", "See models, evaluations, alerts, dead letters, the label ledger, schemas and metrics."
    OPERATE = "operate", "Acknowledge alerts, change subscriptions, send dead letters again."


SCOPES: Final = {scope.value: scope for scope in Scope}
"""The scopes by their codes."""


class KeyFileError(RiverrunError):
    """The key file cannot be read, or there is no such key."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored.

    Parameters
    ----------
    id
        Names it; not secret.
    name
        Whom or what it is for.
    scopes
        What it allows.
    digest
        SHA-256 of the secret, in hexadecimal digits.
    created, expires, revoked
        Milliseconds since the epoch; 0 for never.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    digest: str
    created: int
    expires: int = 0
    revoked: int = 0

    def is_valid(self, now: int) -> bool:
        """Tell whether it may be used at a time, in milliseconds since the epoch."""
        return not self.revoked and (not self.expires or now < self.expires)


def key_file_path(data_folder: Path, environment: Mapping[str, str] | None = None) -> Path:
    """Return where the key file is: as ``RIVERRUN_API_KEYS`` says, or in the data folder."""
    env = os.environ if environment is None else environment
    setting = env.get(API_KEYS, "").strip()
    return Path(setting) if setting else data_folder / "keys" / "api-keys.json"


class KeyFile:
    """The list of keys on disk; several processes may change it at once.

    Parameters
    ----------
    path
        The file; it need not exist. Only its owner may read it.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = KeyFile(Path(folder) / "keys.json")
    ...     text = file.make("billing", [Scope.PREDICT], now=1_000)
    ...     found = KeyChecker(file).identify(text, now=2_000)
    ...     revoked = file.revoke(found.id, now=3_000)
    ...     (found.name, found.scopes, KeyChecker(file).identify(text, now=4_000))
    ('billing', (<Scope.PREDICT: 'predict'>,), None)
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> tuple[ApiKey, ...]:
        """Return all keys ever made, oldest first; none if there is no file.

        Raises
        ------
        KeyFileError
            If the file cannot be read.
        """
        try:
            rows = json.loads(self.path.read_text(encoding="utf-8"))
            return tuple(ApiKey(**{**row, "scopes": tuple(SCOPES[each] for each in row["scopes"])}) for row in rows)
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise KeyFileError(
                f"the key file {self.path} cannot be read: {type(error).__name__}",
                hint=f"restore it, or move it away and make new keys; {API_KEYS} says where it is",
            ) from error

    def make(self, name: str, scopes: Iterable[Scope], *, now: int, expires: int = 0) -> str:
        """Add a key; return its text, which is kept nowhere.

        Parameters
        ----------
        name
            Whom or what it is for.
        scopes
            What it allows; at least one.
        now, expires
            Milliseconds since the epoch; 0 for a key that does not expire.

        Raises
        ------
        SettingsError
            If there is no scope, or the name is not one.
        KeyFileError
            If the file cannot be read or written.
        """
        wanted = tuple(dict.fromkeys(scopes))
        if not wanted:
            raise SettingsError("the key has no scope", hint=f"give some of {', '.join(Scope)}")
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"{name!r:.120} is no name for a key", hint="letters, digits, spaces and . @ : / - _, up to 100"
            )
        # Eight bytes in base 32 without the padding are 13 digits, of which 12 are kept: 60 bits.
        number = base64.b32encode(secrets.token_bytes(_ID_BYTES)).decode().lower()[:12]
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        with self._changing() as keys:
            keys.append(ApiKey(number, name, wanted, _digest(secret), now, expires))
        return f"rr1.{number}.{secret}"

    def revoke(self, number: str, *, now: int) -> ApiKey:
        """Make a key useless from now on; it stays in the list. Return it as it is stored now.

        Raises
        ------
        KeyFileError
            If there is no such key, or the file cannot be read or written.
        """
        with self._changing() as keys:
            for index, key in enumerate(keys):
                if key.id == number:
                    keys[index] = key if key.revoked else replace(key, revoked=now)
                    return keys[index]
            raise KeyFileError(f"there is no key {number!r:.40}", hint="`riverrun keys list` prints their ids")

    @contextmanager
    def _changing(self) -> Iterator[list[ApiKey]]:
        """Give the keys to be changed, and write them back, while nobody else does."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock():
                keys = list(self.entries())
                yield keys
                self._write(keys)
        except OSError as error:
            raise KeyFileError(f"the key file {self.path} cannot be written: {type(error).__name__}") from error

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with self.path.with_suffix(".lock").open("a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _write(self, keys: Iterable[ApiKey]) -> None:
        draft = self.path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump([asdict(key) for key in keys], file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)


class KeyChecker:
    """Tells whose key a text is; notices when the file has changed.

    Parameters
    ----------
    file
        The key file.
    """

    def __init__(self, file: KeyFile) -> None:
        self._file = file
        self._stamp: tuple[int, int, int] | None = None
        self._keys: dict[str, ApiKey] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the file if it has changed: so a revoked key is useless within the interval of these calls.

        Raises
        ------
        KeyFileError
            If it cannot be read; the keys known so far stay.
        """
        stamp = self._stat()
        if stamp != self._stamp:
            self._keys = {key.id: key for key in self._file.entries()}
            self._stamp = stamp

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def identify(self, text: str, now: int) -> ApiKey | None:
        """Return the key that a text is, or None if it is none that may be used at this time.

        Parameters
        ----------
        text
            As a caller sent it.
        now
            Milliseconds since the epoch.
        """
        shape = _SHAPE.fullmatch(text)
        if shape is None:
            return None
        key = self._keys.get(shape[1])
        proved = hmac.compare_digest(_digest(shape[2]), _NOBODY if key is None else key.digest)
        return key if key is not None and proved and key.is_valid(now) else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
