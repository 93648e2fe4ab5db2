"""Runs the alerts of a pipeline: ``python -m services.alerts FILE``."""

from __future__ import annotations

import sys

from riverrun.launch.service import run_beside

try:
    from services.alerts.start import run_alerts
    from services.alerts.stop_limit import end_now
except ModuleNotFoundError as error:
    sys.exit(f"the alerts service needs {error.name}, which is not installed (pip install 'riverrun[alerts]')")

# A crash can leave the thread of Faust's consumer behind, which would stay in its group, and keep the signals from
# whoever has taken over.
end_now(run_beside(sys.argv[1:], "alerts", run_alerts))
