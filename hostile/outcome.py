"""What became of an attack."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Outcome"]

_FAULTS_KEPT: Final = 20


@dataclass(slots=True)
class Outcome:
    """What became of an attack.

    Parameters
    ----------
    tried
        What was sent that is surely malformed.
    unaccounted
        Of how much of it, and of what else was sent, nobody knows what became, or what ought not to.
    answers
        How much of what is malformed ended in which way: they add up to ``tried``.
    valid
        How much of what was spoiled, and is valid all the same, ended in which way; no part of ``tried``.
    by_route
        Of requests, what is in ``answers`` by route.
    faults
        The first of what is unaccounted for, in words.
    """

    tried: int = 0
    unaccounted: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    valid: Counter[str] = field(default_factory=Counter)
    by_route: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    faults: list[str] = field(default_factory=list)

    def accuse(self, fault: str, count: int = 1) -> None:
        """Count what is unaccounted for."""
        self.unaccounted += count
        if count and len(self.faults) < _FAULTS_KEPT:
            self.faults.append(fault)
