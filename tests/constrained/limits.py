"""A real limit of memory for a process: the kernel's, which kills what goes beyond."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_STACK_KB = 512
"""Of each thread, where address space counts: what it does not touch counts too."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that is in force.

    Parameters
    ----------
    kind
        ``cgroup 2``, ``cgroup 1`` or ``RLIMIT_DATA``.
    group
        The control group's folder, if it is one.
    script
        What a shell does to put itself under the limit.
    """

    kind: str
    group: Path | None
    script: str

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs another one under the limit."""
        return ["/bin/sh", "-c", f'{self.script} && exec "$@"', "sh", *command]

    def failures(self) -> int:
        """Return how often the kernel killed what was under it; -1 if it does not tell."""
        if self.group is None:
            return -1
        name = "memory.events" if self.kind == "cgroup 2" else "memory.oom_control"
        lines = (self.group / name).read_text(encoding="ascii").splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), -1)


@contextmanager
def memory_limit(limit: int) -> Iterator[Limit]:
    """Put a limit of so many bytes into force: of a control group if this user may make one, else of the process."""
    for kind, parent, files in (
        ("cgroup 2", _own("0::", _ROOT), ("memory.max", "memory.swap.max")),
        ("cgroup 1", _own(":memory:", _ROOT / "memory"), ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")),
    ):
        group = parent / f"riverrun-test-{uuid.uuid4().hex[:8]}"
        if not _made(group, files, limit):
            continue
        try:
            yield Limit(kind, group, f"echo $$ > {group}/cgroup.procs")
        finally:
            with suppress(OSError):
                group.rmdir()
        return
    yield Limit("RLIMIT_DATA", None, f"ulimit -s {_STACK_KB} && ulimit -d {limit >> 10}")


def _own(mark: str, root: Path) -> Path:
    """Return the folder of the group that this process is in."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
            if mark in line or line.startswith(mark):
                return root / line.rsplit(":", 1)[1].lstrip("/")
    return root


def _made(group: Path, files: tuple[str, str], limit: int) -> bool:
    limiting, swapping = files
    try:
        group.mkdir()
        if not (group / "cgroup.procs").exists():
            # The kernel has made nothing in it: what is mounted here is no hierarchy of groups.
            group.rmdir()
            return False
        (group / limiting).write_text(str(limit), encoding="ascii")
    except OSError:
        with suppress(OSError):
            group.rmdir()
        return False
    with suppress(OSError):
        # Without swap there is nothing to be limited.
        (group / swapping).write_text("0" if swapping == "memory.swap.max" else str(limit), encoding="ascii")
    return os.access(group / "cgroup.procs", os.W_OK)
