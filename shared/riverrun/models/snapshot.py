"""A model's state in a file: a signed envelope around a pickle, and the only way from one to the other.

Layout, all lengths in big-endian bytes::

    16  the mark "riverrun-model-1"
     4  length of the header
     n  the header, JSON
     8  length of the payload
     m  the payload, a pickle
    64  Ed25519 signature of all that comes before

Reading goes outside in: the lengths must add up to the file, the signature must be by a trusted key, and only
then is the payload unpickled, through a list of exact names, and in a copy of this process under a limit of memory
first; there the state's digest must come out as the header's.
"""

from __future__ import annotations

import json
import platform
import struct
import sys
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final, cast

from riverrun.errors import RiverrunError
from riverrun.models.digest import digest
from riverrun.models.pickling import dump_state, load_state
from riverrun.models.rehearsal import DEFAULT_LIMITS, Limits, Rehearsal, RehearsalError
from riverrun.models.signing import SIGNATURE_BYTES, KeyRing, SignatureError

__all__ = [
    "CHECKPOINT",
    "Header",
    "SnapshotError",
    "captured",
    "header_of",
    "library_versions",
    "opened",
    "sealed",
]

CHECKPOINT: Final = "*"
"""Stands in place of the model's name in the file that holds a learner's whole state."""

_MARK: Final = b"riverrun-model-1"
_PURPOSE: Final = b"riverrun snapshot"
_HEADER_LENGTH: Final = struct.Struct(">I")
_PAYLOAD_LENGTH: Final = struct.Struct(">Q")
_LIBRARIES: Final = ("river", "numpy", "scipy", "riverrun")


class SnapshotError(RiverrunError):
    """A snapshot is forged, cut short, altered, or not what it was published as."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a snapshot says about itself.

    Parameters
    ----------
    pipeline, model
        Whose state it is; for a learner's whole state the model is `CHECKPOINT`.
    position
        How many records of ``examples`` were folded: the version.
    time
        Event time of the last of them. Milliseconds since the epoch.
    positions
        The next position to fold of each writer, by ``"topic/partition/writer"``.
    digest
        Canonical digest of the state.
    code_hash, feature_set
        Of the pipeline file, and the fingerprint of the vector's schema.
    seed
        The seed that the model was built with.
    libraries
        Versions of the libraries that the state depends on.
    """

    pipeline: str
    model: str
    position: int
    time: int
    positions: Mapping[str, int]
    digest: str
    code_hash: str
    feature_set: str
    seed: int
    libraries: Mapping[str, str]


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that a model's state depends on."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


def captured(state: object) -> tuple[bytes, str]:
    """Return a state's pickle and its digest: what must be taken at once, before the state moves on.

    Raises
    ------
    DigestError
        If the state cannot be digested or pickled.
    """
    return dump_state(state), digest(state)


def sealed(header: Header, payload: bytes, keys: KeyRing) -> bytes:
    """Return the signed file.

    Raises
    ------
    SettingsError
        If there is no key to sign with.
    """
    head = json.dumps(asdict(header), sort_keys=True, separators=(",", ":")).encode()
    body = b"".join((_MARK, _HEADER_LENGTH.pack(len(head)), head, _PAYLOAD_LENGTH.pack(len(payload)), payload))
    return body + keys.sign(_PURPOSE, body)


def header_of(file: bytes, keys: KeyRing) -> Header:
    """Verify a file and return its header; nothing is unpickled.

    Raises
    ------
    SnapshotError
        If it is cut short, is no snapshot, or is not signed by a trusted key.
    """
    return _verified(file, keys)[0]


def opened(
    file: bytes, keys: KeyRing, modules: Collection[str] = (), limits: Limits = DEFAULT_LIMITS
) -> tuple[Header, object]:
    """Verify a file, unpickle its state and check the state's digest.

    Parameters
    ----------
    file
        As `sealed` made it.
    keys
        Whose signatures are trusted.
    modules
        Modules besides River's whose classes it may hold: the pipeline file's.
    limits
        What opening it may take.

    Raises
    ------
    SnapshotError
        If it is cut short, forged or altered, holds what it may not, takes too much memory or time, or its state is not
        the one that was digested.
    """
    header, payload = _verified(file, keys)
    try:
        found = _rehearsal(frozenset(modules), limits).run(payload)
    except RehearsalError as error:
        raise SnapshotError(
            f"snapshot {_label(header)} cannot be loaded: {error.message}",
            hint=f"it was written with {_versions(header)}; replay the examples instead",
        ) from error
    if found != header.digest:
        raise SnapshotError(
            f"snapshot {_label(header)} has digest {found[:16]}, its header says {header.digest[:16]}",
            hint=f"it was written with {_versions(header)}; replay the examples instead",
        )
    return header, load_state(payload, modules)


def _rehearsal(modules: frozenset[str], limits: Limits) -> Rehearsal:
    """Return where a state is opened first; a module that was loaded since, or anew, needs another copy of it."""
    loaded = tuple(id(sys.modules.get(name)) for name in sorted(modules))
    return _rehearsal_of(modules, loaded, limits)


@lru_cache(maxsize=4)
def _rehearsal_of(modules: frozenset[str], loaded: tuple[int, ...], limits: Limits) -> Rehearsal:
    del loaded
    return Rehearsal(lambda payload: digest(load_state(payload, modules)), limits)


def _verified(file: bytes, keys: KeyRing) -> tuple[Header, bytes]:
    head_end, payload_end = _bounds(file)
    try:
        keys.verify(_PURPOSE, file[:payload_end], file[payload_end:])
    except SignatureError as error:
        raise SnapshotError(
            f"a snapshot is refused: {error.message}",
            hint="if the key was changed, list the old public key in RIVERRUN_MODEL_TRUSTED_KEYS",
        ) from error
    start = len(_MARK) + _HEADER_LENGTH.size
    try:
        header = Header(**json.loads(file[start:head_end]))
    except (TypeError, ValueError) as error:
        raise SnapshotError("a snapshot's header cannot be read", hint="another riverrun wrote it") from error
    return header, file[head_end + _PAYLOAD_LENGTH.size : payload_end]


def _bounds(file: bytes) -> tuple[int, int]:
    """Return where header and payload end, if all the lengths fit the file exactly."""
    start = len(_MARK) + _HEADER_LENGTH.size
    if file.startswith(_MARK) and len(file) >= start:
        head_end = start + cast("int", _HEADER_LENGTH.unpack_from(file, len(_MARK))[0])
        if len(file) >= head_end + _PAYLOAD_LENGTH.size:
            length = cast("int", _PAYLOAD_LENGTH.unpack_from(file, head_end)[0])
            payload_end = head_end + _PAYLOAD_LENGTH.size + length
            if len(file) == payload_end + SIGNATURE_BYTES:
                return head_end, payload_end
    raise SnapshotError(f"{len(file)} bytes are not a whole snapshot", hint="the file was cut short or is another's")


def _label(header: Header) -> str:
    return f"{header.pipeline}/{header.model} at {header.position}"


def _versions(header: Header) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(header.libraries.items()) if number)
