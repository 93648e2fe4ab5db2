"""What a process imports before others are copied from it; nobody else imports this."""

from __future__ import annotations

from importlib import import_module

from riverrun.river_imports import import_river

# River as riverrun imports it, without what its estimators here do not need, on all sides.
import_river()
import_module("benchmarks.cli")
