"""Runs the score stage by itself: ``python -m services.score FILE``."""

from __future__ import annotations

import sys

from riverrun.launch.service import run_service
from services.score.wiring import SCORE

sys.exit(run_service(sys.argv[1:], SCORE))
