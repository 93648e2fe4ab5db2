"""What a server's folder remembers about its last run: which process, who started it, on which ports."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from riverrun.embedded.private_file import write_private_file
from riverrun.embedded.process import ProcessId

__all__ = ["RunRecord"]

_NOBODY = ProcessId(0, "")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The content of ``run.json``.

    Attributes
    ----------
    server : ProcessId
        The server's process; that of nobody when it was stopped in order.
    owner : ProcessId
        Who started it.
    lasting : bool
        Whether it is meant to go on when its owner has ended.
    ports : tuple of int
        Where it listened last, in the server's own order.
    """

    server: ProcessId = _NOBODY
    owner: ProcessId = _NOBODY
    lasting: bool = False
    ports: tuple[int, ...] = ()

    @property
    def shared(self) -> bool:
        """Whether the server runs and may be used: nobody is going to stop it behind our back."""
        return self.server.alive and (self.lasting or self.owner.alive)

    def stopped(self) -> RunRecord:
        """Return the record of a server that no longer runs; only its ports are worth keeping."""
        return RunRecord(ports=self.ports)

    def write(self, folder: Path) -> None:
        """Write the record into a server's folder."""
        content = {
            "server": [self.server.pid, self.server.born],
            "owner": [self.owner.pid, self.owner.born],
            "lasting": self.lasting,
            "ports": self.ports,
        }
        write_private_file(folder / "run.json", json.dumps(content))

    @classmethod
    def read(cls, folder: Path) -> RunRecord:
        """Read the record of a folder; an empty one if there is none, or none that can be understood."""
        try:
            content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            return cls(
                server=ProcessId(*content["server"]),
                owner=ProcessId(*content["owner"]),
                lasting=bool(content["lasting"]),
                ports=tuple(int(port) for port in content["ports"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return cls()
