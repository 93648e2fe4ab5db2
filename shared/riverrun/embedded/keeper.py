"""Keeps a cluster's embedded servers up while a long run needs them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from riverrun.embedded.cluster import EmbeddedCluster
from riverrun.errors import UnavailableError

__all__ = ["Keeper"]

_LOG = logging.getLogger("riverrun.embedded")
_RETRY_S = 5.0


class Keeper:
    """Starts again whichever of a cluster's servers has ended, on the ports that it had.

    A server ends by a crash, or because another command, which had started it and ended first, took it along.
    Clients go on by themselves once it is back.

    Parameters
    ----------
    cluster : EmbeddedCluster
        Started. Servers that the settings name are nobody's to start: they are left alone.
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, cluster: EmbeddedCluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._not_before = 0.0

    def look(self) -> None:
        """Look once, at the cost of a few system calls; starting takes as long as `Server.start` does.

        A start that fails is logged and tried again some seconds later.
        """
        ended = [server for server in self._cluster.servers if not server.running]
        if not ended or self._clock() < self._not_before:
            return
        for server in ended:
            _LOG.warning("%s has ended under this run: starting it again", server.name)
            try:
                server.start()
            except UnavailableError as error:
                _LOG.error("%s", error)
                self._not_before = self._clock() + _RETRY_S
