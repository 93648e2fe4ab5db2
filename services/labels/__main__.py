"""Runs the labels stage by itself: ``python -m services.labels FILE``."""

from __future__ import annotations

import sys

from riverrun.launch.service import run_service
from services.labels.wiring import LABELS

sys.exit(run_service(sys.argv[1:], LABELS))
