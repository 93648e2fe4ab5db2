"""What the in-memory log can be told to fail at."""

from __future__ import annotations

import enum

__all__ = ["Failure"]


class Failure(enum.Enum):
    """A kind of failure; each surfaces as ``LogUnavailableError`` where it says."""

    LOOK_UP = "look up a topic's partitions or offsets"
    OPEN = "open a writer"
    READ = "poll a reader, which is of no further use then"
    TAIL = "read a tail"
    COMMIT_REFUSED = "commit: not committed, and the transaction stays open"
    COMMIT_UNKNOWN = "commit: committed, but the answer was lost"
