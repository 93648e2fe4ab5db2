"""Ends the process at a named point, as ``kill -9`` would: only for tests, which ask for it by a setting.

``RIVERRUN_FAILPOINT=after-commit:12`` ends it when it passes the point ``after-commit`` for the twelfth time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping

from riverrun.errors import SettingsError
from riverrun.runtime.failpoints import Failpoint, Reach, nowhere

__all__ = ["FAILPOINT", "read_failpoint"]

FAILPOINT = "RIVERRUN_FAILPOINT"


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def read_failpoint(environment: Mapping[str, str], end: Callable[[], None] = _die) -> Reach:
    """Return what a deployment is to call at every point.

    Parameters
    ----------
    environment
        The settings.
    end
        Ends the process.

    Raises
    ------
    SettingsError
        If the setting names no point, or no number of times.

    Examples
    --------
    >>> reach = read_failpoint({"RIVERRUN_FAILPOINT": "after-commit:2"}, lambda: print("the end"))
    >>> reach(Failpoint.AFTER_COMMIT), reach(Failpoint.BEFORE_COMMIT)
    (None, None)
    >>> reach(Failpoint.AFTER_COMMIT)
    the end
    """
    text = environment.get(FAILPOINT, "")
    if not text:
        return nowhere
    name, _, count = text.partition(":")
    wanted = next((point for point in Failpoint if point == name), None)
    if wanted is None or not count.isdecimal() or int(count) < 1:
        raise SettingsError(
            f"{FAILPOINT} is {text!r}", hint=f"write NAME:COUNT, NAME being one of {', '.join(Failpoint)}"
        )
    left = int(count)

    def reach(point: Failpoint) -> None:
        nonlocal left
        if point is wanted:
            left -= 1
            if left == 0:
                end()

    return reach
