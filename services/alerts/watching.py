"""What every watcher does: look at facts for one rule, and say what it notices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from services.alerts.observations import Observation
from services.alerts.signals import Fact

__all__ = ["Moment", "Watcher"]


@dataclass(frozen=True, slots=True)
class Moment:
    """When a fact is looked at.

    Parameters
    ----------
    now
        The stream's clock, in milliseconds since the epoch.
    intake
        The clock of what was taken in: it follows ``ingest``'s watermark alone, so a stream is not silent only because
        another topic is read further ahead.
    ends
        Where the producers' topics ended when the fact was recorded, by ``topic/partition``; empty if unknown.
    """

    now: int
    intake: int
    ends: Mapping[str, int]


class Watcher(ABC):
    """Watches for what one rule is about. A pure fold."""

    @abstractmethod
    def see(self, fact: Fact | None, moment: Moment) -> Iterable[Observation]:
        """Look at a fact (None: only time went on)."""

    def state(self) -> Mapping[str, object]:
        """Return what `restore` needs: JSON, with no keys but texts."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        del state
