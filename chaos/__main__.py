"""Breaks everything and judges what is left: ``python -m chaos --seed N [--long] [--only KIND ...]``."""

from __future__ import annotations

import argparse
import logging
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from chaos.act import play
from chaos.layouts import Setting
from chaos.overload import OVERLOAD, overload
from chaos.planted import caught
from chaos.report import MOST_RECOVERY_S, Report
from chaos.schedule import LONG, SHORT, Size, all_kinds, plan_digest, schedule

PLANTED = "planted"
_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return 0 if nothing was found to be wrong, every bug was caught, and every kind of fault struck.

    A long run must have recovered in time as well.
    """
    options = _options(arguments)
    logging.getLogger("riverrun").setLevel(logging.ERROR)
    # Asked to end, it takes its servers and services along.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    size: Size = LONG if options.long else SHORT
    only: list[str] = options.only
    tell = _teller()
    kinds = [each for each in only if each not in {OVERLOAD, PLANTED}]
    acts = list(schedule(size, options.seed, kinds)) if kinds or not only else []
    report = Report(options.folder / "chaos.json", options.seed, size.name, plan_digest(acts))
    tell(f"seed {options.seed}: {sum(len(act.faults) for act in acts)} times faults strike, in {len(acts)} scenes")
    played = 0
    if options.resume:
        try:
            played = report.resume()
        except (OSError, ValueError) as error:
            tell(f"cannot go on: {error}; without --resume a run begins anew")
            return _USAGE
    else:
        report.forget()
    for number, act in enumerate(acts[played:], played + 1):
        tell(f"scene {number} of {len(acts)}: {act.layout.name}")
        setting = _setting(options.folder, f"act-{number}", 1_000 * options.seed + number)
        outcome = play(act, setting, tell)
        report.add(outcome)
        report.keep()
        _tidy(setting, keep=bool(outcome.findings))
    if not only or OVERLOAD in only:
        tell("overload")
        setting = _setting(options.folder, OVERLOAD, options.seed)
        under, measured = overload(setting, size.overload_s, tell)
        report.add(under, measured)
        _tidy(setting, keep=bool(under.findings))
    if not only or PLANTED in only:
        report.planted = caught(tell)
        report.write()
    report.forget()
    return _verdict(report, set() if only else set(all_kinds()), tell, timed=options.long)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="decides all: load, order of faults, moments (%(default)s)")
    parser.add_argument("--long", action="store_true", help="hours: each kind as often as docs/reliability.md says")
    parser.add_argument("--resume", action="store_true", help="go on where a run of the same seed was stopped")
    parser.add_argument("--only", nargs="+", metavar="KIND", default=[], help=f"beginnings of: {', '.join(_names())}")
    parser.add_argument("--folder", type=Path, default=Path("build"), help="where everything goes (%(default)s)")
    options = parser.parse_args(arguments)
    unknown = [each for each in options.only if not any(name.startswith(each) for name in _names())]
    if unknown:
        parser.error(f"no kind of fault begins with {', '.join(unknown)}")
    return options


def _names() -> list[str]:
    return [*all_kinds(), OVERLOAD, PLANTED]


def _teller() -> Callable[[str], None]:
    began = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {line}", flush=True)

    return tell


def _setting(folder: Path, name: str, seed: int) -> Setting:
    place = (folder / "chaos" / name).absolute()
    shutil.rmtree(place, ignore_errors=True)
    return Setting(name, place, seed)


def _tidy(setting: Setting, *, keep: bool) -> None:
    """Keep a scene's logs and data where there is something to look into."""
    if not keep:
        shutil.rmtree(setting.folder, ignore_errors=True)


def _verdict(report: Report, due: set[str], tell: Callable[[str], None], *, timed: bool) -> int:
    """Return the exit code; only a long run is held to a time, for a short one says little of it."""
    missed = [name for name, was_caught in report.planted.items() if not was_caught]
    absent = sorted(due - report.struck())
    if missed:
        tell(f"planted bugs NOT caught: {', '.join(missed)}")
    if absent:
        tell(f"kinds that never struck: {', '.join(absent)}")
    if report.unfenced:
        tell("of all members that came back from the dead none tried to go on: that they are shut out was not shown")
    slow = report.slow if timed else {}
    for kind, seconds in slow.items():
        tell(f"recovery from {kind} took {seconds} s at the 95th percentile, {MOST_RECOVERY_S} are borne with")
    tell(f"{report.wrong} things wrong" if report.wrong else "nothing lost, nothing doubled, nothing out of order")
    return 1 if report.wrong or missed or absent or slow or report.unfenced else 0


if __name__ == "__main__":
    sys.exit(main())
