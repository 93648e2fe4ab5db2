"""Ends the process when stopping takes too long."""

from __future__ import annotations

import logging
import os
import sys
import threading

__all__ = ["end_within"]

_LOG = logging.getLogger("riverrun.alerts")


def end_within(seconds: float) -> None:
    """End this process if it has not ended by itself after so many seconds.

    Faust can hang while it stops: its consumer commits once more, fails if no transaction has been begun ("Not in the
    middle of a transaction"), and what it was to tell of its end waits for ever. An end by force is safe: what was not
    committed is folded again, and the log of alerts guards itself against doing so twice.
    """
    timer = threading.Timer(seconds, _end, (seconds,))
    timer.daemon = True
    timer.start()


def _end(seconds: float) -> None:
    _LOG.error("not stopped after %.1f s; ending now, the next start recovers", seconds)
    logging.shutdown()
    sys.stdout.flush()
    os._exit(os.EX_TEMPFAIL)
