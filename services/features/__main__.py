"""Runs the features stage by itself: ``python -m services.features FILE``."""

from __future__ import annotations

import sys

from riverrun.launch.service import run_service
from services.features.wiring import FEATURES

sys.exit(run_service(sys.argv[1:], FEATURES))
