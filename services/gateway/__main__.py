"""Runs the gateway: ``python -m services.gateway FILE``."""

from __future__ import annotations

import sys

from riverrun.launch.gateway import run_gateway

sys.exit(run_gateway(sys.argv[1:]))
