"""What watches a process: the meter, the conditions, and tracing if it was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from riverrun.runtime.degradations import Conditions
from riverrun.runtime.meter import Meter
from riverrun.runtime.tracing import Tracing

__all__ = ["Observer"]


@dataclass(frozen=True, slots=True)
class Observer:
    """Shared by all tasks of a process; without tracing it costs a few additions a batch."""

    meter: Meter = field(default_factory=Meter)
    conditions: Conditions = field(default_factory=Conditions)
    tracing: Tracing | None = None
