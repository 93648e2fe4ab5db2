"""Runs the learn stage by itself: ``python -m services.learn FILE``."""

from __future__ import annotations

import sys

from riverrun.launch.service import run_service
from services.learn.wiring import LEARN

sys.exit(run_service(sys.argv[1:], LEARN))
