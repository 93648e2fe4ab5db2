"""Become another program that the kernel ends when the parent dies (Linux), then run it.

Run as a script, never imported: ``python -I -S exec_with_parent.py PARENT_PID PROGRAM ARGUMENT...``. A
separate program rather than ``preexec_fn``, which may deadlock in a process that has other threads, and
librdkafka always has.

The kernel sends SIGTERM, on which Kafka and Redis both close their files in order. It does so when the
*thread* that forked ends; `riverrun.embedded.process` therefore forks from a thread that lasts as long as the
process.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # from linux/prctl.h

if __name__ == "__main__":
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    # The parent may have died before the kernel was told: then nobody would end us.
    if os.getppid() == parent:
        os.execv(program[0], program)
