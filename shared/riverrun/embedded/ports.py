"""Free ports on the loopback interface."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Sequence

from riverrun.errors import UnavailableError

__all__ = ["LOOPBACK", "choose_ports", "is_free"]

LOOPBACK = "127.0.0.1"

# Below the range from which systems take the ports of outgoing connections (32768 up on Linux, 49152 up
# elsewhere): a port from that range could be taken by any client while the server is down, and the address
# would change.
_FIRST_PORT, _LAST_PORT = 20_000, 32_000
_ATTEMPTS = 200


def is_free(port: int) -> bool:
    """Tell whether a server could listen on a loopback port now."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        # As Kafka and Redis do: connections of the last run that linger in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose_ports(count: int, preferred: Sequence[int] = ()) -> tuple[int, ...]:
    """Choose distinct free ports, keeping the preferred ones that are free.

    Parameters
    ----------
    count : int
        How many.
    preferred : sequence of int, optional
        The ports of the last run, in order.

    Returns
    -------
    tuple of int
        `count` ports. Nobody holds them for us: a server that finds its port taken is to be started again.

    Raises
    ------
    UnavailableError
        When no free port turned up.
    """
    ports: list[int] = []
    randomness = random.SystemRandom()  # seeding `random` must not make two clusters pick the same ports
    for index in range(count):
        if index < len(preferred) and preferred[index] not in ports and is_free(preferred[index]):
            ports.append(preferred[index])
            continue
        for _ in range(_ATTEMPTS):
            port = randomness.randrange(_FIRST_PORT, _LAST_PORT)
            if port not in ports and is_free(port):
                ports.append(port)
                break
        else:
            raise UnavailableError(
                f"no free port on {LOOPBACK} between {_FIRST_PORT} and {_LAST_PORT}",
                hint="stop servers that are no longer needed",
            )
    return tuple(ports)
