"""Runs the drift stages by themselves: ``python -m services.drift FILE``."""

from __future__ import annotations

import sys

from riverrun.launch.service import run_service
from services.drift.wiring import DRIFT_ERRORS, DRIFT_INPUTS

sys.exit(run_service(sys.argv[1:], DRIFT_INPUTS, DRIFT_ERRORS))
