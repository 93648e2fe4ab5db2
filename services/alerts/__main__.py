"""Runs the alerts of a pipeline: ``python -m services.alerts FILE``."""

from __future__ import annotations

import sys

from riverrun.launch.service import run_beside
from services.alerts.start import run_alerts

sys.exit(run_beside(sys.argv[1:], "alerts", run_alerts))
