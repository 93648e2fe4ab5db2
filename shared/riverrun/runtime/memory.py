"""What a process may use of memory, divided among what takes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from riverrun.errors import SettingsError

__all__ = ["Memory"]

_MIB: Final = 1 << 20
_UNITS: Final = {"": 1, "K": 1 << 10, "M": _MIB, "G": 1 << 30}
_SIZE: Final = re.compile(r"(\d+)\s*([KMG]?)(?:I?B)?", re.IGNORECASE)

_PROGRAM: Final = 128 * _MIB
"""The interpreter, its modules, the clients' threads, models as small as the demo's; measured (decision 0025)."""

_LEAST: Final = 192 * _MIB
_READING: Final = 0.10
_ENTITIES: Final = 0.20
_MODELS: Final = 0.35
_CACHES: Final = 0.15


@dataclass(frozen=True, slots=True)
class Memory:
    """Bounds of whatever grows with the traffic or the state; as they stand, those of a process with memory to spare.

    Parameters
    ----------
    limit : int
        What the whole process may use, in bytes; 0 for no limit.
    read_buffer : int
        Most that one reader of the log fetches ahead, in bytes.
    read_ahead : int
        Most records of one input that are decoded and wait for their turn.
    write_buffer : int
        Most that waits to be sent to the log, in bytes.
    state_cache : int
        What each stage's local state keeps of its entries in memory, in bytes.
    block_cache, memtable : int
        What each store of local state keeps: blocks that were read, and one of two buffers of writes. Bytes.
    entities : int
        What the entities of one partition's features may take, about, in bytes; the least recently seen go to disk.
        0 for no bound.
    models : int
        What all models together may take, in bytes; 0 for no bound.
    """

    limit: int = 0
    read_buffer: int = 8 * _MIB
    read_ahead: int = 8_192
    write_buffer: int = 256 * _MIB
    state_cache: int = 16 * _MIB
    block_cache: int = 8 * _MIB
    memtable: int = 4 * _MIB
    entities: int = 0
    models: int = 0

    @classmethod
    def within(cls, limit: int) -> Memory:
        """Divide a limit, in bytes, among all that grows.

        Raises
        ------
        SettingsError
            If the program itself would hardly fit.

        Examples
        --------
        >>> Memory.within(256 << 20).entities >> 20
        25
        """
        if limit < _LEAST:
            raise SettingsError(
                f"{limit / _MIB:.0f} MiB of memory are too little for a process that runs a pipeline",
                hint=f"give at least {_LEAST // _MIB} MiB; of that the program itself takes {_PROGRAM // _MIB}",
            )
        room = limit - _PROGRAM
        reading = int(room * _READING)
        caches = int(room * _CACHES)
        return cls(
            limit=limit,
            # A producer's topic and its decoded records: about a quarter of each for each of four inputs.
            read_buffer=max(_MIB // 4, reading // 8),
            read_ahead=max(256, reading // 8 // 2_048),
            write_buffer=max(4 * _MIB, reading),
            state_cache=caches // 6,
            block_cache=max(_MIB, caches // 12),
            memtable=max(_MIB // 2, caches // 24),
            entities=int(room * _ENTITIES),
            models=int(room * _MODELS),
        )

    @classmethod
    def parsed(cls, text: str) -> Memory:
        """Read a limit as people write it; K, M and G are powers of 1,024, as for Java and Redis. Empty for none.

        Raises
        ------
        SettingsError
            If it is no size, or too little.

        Examples
        --------
        >>> Memory.parsed("256MB").limit, Memory.parsed("").limit
        (268435456, 0)
        """
        if not text:
            return cls()
        match = _SIZE.fullmatch(text.strip())
        if match is None:
            raise SettingsError(f"{text!r} is no amount of memory", hint="write 256MB or 1G, for example")
        return cls.within(int(match[1]) * _UNITS[match[2].upper()])
