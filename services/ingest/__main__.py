"""Runs the ingest stage by itself: ``python -m services.ingest FILE``."""

from __future__ import annotations

import sys

from riverrun.launch.service import run_service
from services.ingest.wiring import INGEST

sys.exit(run_service(sys.argv[1:], INGEST))
