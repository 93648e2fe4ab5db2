"""What a scorer remembers beyond its end of the models that it follows; its commit records keep it.

The ``models`` topic alone cannot tell a scorer that starts what is old: whoever may write there can let an old record
be the newest, and compaction takes the others away.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

__all__ = ["USED", "Followed", "UsedVersion"]

USED: Final = "used:"
"""What counters of versions in use begin with: ``used:<model>@<hash of the pipeline file>``."""

_REFUSED: Final = "models_refused"
_READ: Final = "models_read"
_NONE: Final[Mapping[str, UsedVersion]] = MappingProxyType({})


class UsedVersion(NamedTuple):
    """A version that was put to use: how many examples it had learned, and the hash of the pipeline file it is of."""

    position: int
    code_hash: str


class Followed(NamedTuple):
    """How far a topic of models was followed, and what came of it.

    Parameters
    ----------
    refused
        How many versions were refused so far: forged, damaged or replayed.
    read
        The offset before which every record was put to use, passed over, or refused and counted.
    used
        The version of each model in use; none for one that is still untrained.

    Examples
    --------
    >>> followed = Followed(1, 17, {"ftrl": UsedVersion(10_000, "c0de")})
    >>> followed.counters()
    {'models_refused': 1, 'models_read': 17, 'used:ftrl@c0de': 10000}
    >>> Followed.of(followed.counters()) == followed
    True
    """

    refused: int = 0
    read: int = 0
    used: Mapping[str, UsedVersion] = _NONE

    def counters(self) -> dict[str, int]:
        """Return it as a commit record's counters; nothing of what is 0."""
        counts = {_REFUSED: self.refused, _READ: self.read}
        counts |= {f"{USED}{model}@{used.code_hash}": used.position for model, used in self.used.items()}
        return {name: count for name, count in counts.items() if count}

    @classmethod
    def of(cls, counters: Mapping[str, int]) -> Followed:
        """Read it from a commit record's counters, whatever else is there."""
        used = {}
        for name, position in counters.items():
            if name.startswith(USED):
                model, _, code_hash = name.removeprefix(USED).rpartition("@")
                used[model] = UsedVersion(position, code_hash)
        return cls(counters.get(_REFUSED, 0), counters.get(_READ, 0), used)
