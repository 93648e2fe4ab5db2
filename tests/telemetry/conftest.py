"""Fixtures of the telemetry's tests: the runtime's worlds."""

from __future__ import annotations

from tests.runtime.conftest import make_memory, memory, pipeline

__all__ = ["make_memory", "memory", "pipeline"]
