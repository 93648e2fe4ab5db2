"""Runs the alerts of a pipeline: ``python -m services.alerts FILE``."""

from __future__ import annotations

import sys

from riverrun.launch.service import run_beside

try:
    from services.alerts.start import run_alerts
except ModuleNotFoundError as error:
    sys.exit(f"the alerts service needs {error.name}, which is not installed (pip install 'riverrun[alerts]')")

sys.exit(run_beside(sys.argv[1:], "alerts", run_alerts))
