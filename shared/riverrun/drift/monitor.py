"""Watches the records of a stream: gathers a reference, then holds a moving window against it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypedDict

import numpy as np

from riverrun.drift.binning import BINS, Binning, Tally, merged
from riverrun.drift.comparing import Comparison
from riverrun.drift.correction import benjamini_hochberg
from riverrun.drift.dispersion import Doubles
from riverrun.drift.distances import Counts, Floats
from riverrun.drift.onset import Pane, onset
from riverrun.drift.reference import Block, Reference
from riverrun.drift.runs import Runs, RunsState
from riverrun.drift.settings import Mode, MonitorSettings
from riverrun.drift.shifts import Mark, Shift
from riverrun.drift.signals import Move, Signal

__all__ = ["Monitor", "MonitorState"]

_MOST = 50_000
"""Records that a reference is made of at most, of however many a pinned span of time holds."""

_RENEWED = 4
"""Blocks that a new reference has at first, after a shift: enough to see how much they vary by themselves."""

_Row = tuple[float, ...]
_Parts = tuple[Counts, Counts, Floats, Floats, int]
_Block = tuple[_Parts, Doubles]


class MonitorState(TypedDict):
    """All that a monitor has gathered, in types that a pickle of a model may hold."""

    passed: int
    rows: list[_Row]
    first: tuple[int, int]
    sample: list[Floats]
    usual: RunsState
    runs: RunsState
    bins: tuple[list[Floats], list[Counts], object] | None
    blocks: list[_Block]
    new: list[_Block]
    panes: list[tuple[_Parts, tuple[int, int]]]
    filling: list[_Parts]
    alarms: list[tuple[int, str]]
    passing: int


class Monitor:
    """Watches one stream of records, or one segment of it.

    First it passes records over (the warm-up), then it gathers the reference, then it compares. A signal that has moved
    is told once; it may be told again after it has come back. Where the reference is the recent past, it follows the
    stream for as long as nothing has moved; and if something has, and does not come back, a new reference is made of
    what came since: that is how things are now.

    Parameters
    ----------
    signals
        What each record has.
    settings
        How to watch.
    confirm
        Asked before a risen mean is told, with the subject: whether detectors agree.
    """

    def __init__(
        self, signals: Sequence[Signal], settings: MonitorSettings, confirm: Callable[[str], bool] | None = None
    ) -> None:
        self._signals = tuple(signals)
        self._category = tuple(signal.category for signal in signals)
        self._settings = settings
        self._confirm = confirm
        self._hypotheses = [(index, test, kind) for index, signal in enumerate(signals) for test, kind in signal.tests]
        self._passed = 0
        self._rows: list[_Row] = []
        self._first = Mark(0, 0)
        self._sample: list[Floats] = []
        self._usual, self._runs = Runs(len(signals)), Runs(len(signals))
        self._reference: Reference | None = None
        self._panes: deque[Pane] = deque()
        self._filling: list[Tally] = []
        self._blocks: deque[Block] = deque(maxlen=settings.blocks)
        self._new: list[Block] = []
        self._passing = 0
        self._alarms: set[tuple[int, Move]] = set()

    @property
    def watching(self) -> bool:
        """Whether there is a reference to compare with."""
        return self._reference is not None

    @property
    def reference(self) -> Tally | None:
        """What the reference counts, once there is one."""
        return self._reference.total if self._reference is not None else None

    def take(self, row: _Row, position: int, time: int) -> Sequence[Shift]:
        """Take in a record, one float a signal, NaN for a missing one; return what has moved.

        Parameters
        ----------
        row
            The record.
        position, time
            Its position in its topic, and its event time in milliseconds.
        """
        settings = self._settings
        if self._passed < settings.warm_up:
            self._passed += 1
            return ()
        if self._reference is None and (time < settings.since or (time >= settings.until and not self._complete())):
            # A pinned reference has not begun; or it is over, and there is too little in it ever to compare with.
            return ()
        rows = self._rows
        if not rows:
            self._first = Mark(position, time)
        rows.append(row)
        if len(rows) < settings.pane:
            return ()
        array = np.array(rows, dtype=np.float64)
        rows.clear()
        if self._reference is None:
            self._gather(array)
            return ()
        return self._compare(self._reference, array)

    def _gather(self, rows: Floats) -> None:
        settings = self._settings
        if len(self._sample) * settings.pane < _MOST:
            self._sample.append(rows)
        self._usual.follow(rows)
        if settings.mode is not Mode.PINNED and len(self._sample) * settings.pane >= settings.reference:
            self._complete()

    def _complete(self) -> bool:
        """Make the reference of what was gathered; return whether that is enough for one."""
        settings = self._settings
        self._rows.clear()
        if len(self._sample) < 2 * settings.panes:
            return False
        sample = np.concatenate(self._sample)
        binning = Binning.fit(self._category, sample)
        panes = [binning.tally(rows) for rows in self._sample]
        whole = len(panes) // settings.panes * settings.panes
        blocks = [Block.of(panes[start : start + settings.panes]) for start in range(0, whole, settings.panes)]
        self._blocks = deque(blocks, maxlen=max(len(blocks), settings.blocks))
        self._reference = Reference(self._category, binning, blocks)
        self._sample = []
        return True

    def _compare(self, reference: Reference, rows: Floats) -> Sequence[Shift]:
        settings = self._settings
        self._runs.follow(rows)
        self._panes.append(Pane(reference.binning.tally(rows), self._first))
        if len(self._panes) > settings.panes:
            reference = self._age(reference, self._panes[-settings.panes - 1].tally)
        if len(self._panes) > 2 * settings.panes:
            self._panes.popleft()
        if len(self._panes) < settings.panes:
            return ()
        window = merged(pane.tally for pane in list(self._panes)[-settings.panes :])
        comparison = Comparison(self._signals, settings, reference, window, (self._usual, self._runs))
        self._calm(comparison)
        found = self._test(comparison)
        self._alarms.update((index, test) for index, test, _ in found)
        if found:
            # The window reaches back to before the shift: what leaves it next is not yet how things are now.
            self._passing = settings.panes
            self._filling.clear()
            self._new = []
        return [self._shift(reference, window, comparison, each) for each in found]

    def _test(self, comparison: Comparison) -> list[tuple[int, Move, str]]:
        """Return what has newly moved, corrected for all that was tested at the same time."""
        # What is known to have moved must not make it easier for the others to be taken for moved.
        open_ones = [each for each in self._hypotheses if each[:2] not in self._alarms]
        p_values = [comparison.p_value(index, test) for index, test, _ in open_ones]
        rejected = benjamini_hochberg(p_values, self._settings.level)
        return [
            each for each, moved in zip(open_ones, rejected, strict=True) if moved and self._confirmed(each[0], each[1])
        ]

    def _confirmed(self, index: int, test: Move) -> bool:
        return test is not Move.RISE or self._confirm is None or self._confirm(self._signals[index].subject)

    def _calm(self, comparison: Comparison) -> None:
        for index, test in sorted(self._alarms):
            found = comparison.measured[test]
            if found.value[index] < found.calm[index]:
                self._alarms.discard((index, test))

    def _age(self, reference: Reference, pane: Tally) -> Reference:
        """Take a pane that has left the window into the recent past; return the reference, which may follow."""
        settings = self._settings
        if settings.mode is not Mode.RECENT:
            return reference
        if self._passing > 0:
            self._passing -= 1
            return reference
        self._filling.append(pane)
        if len(self._filling) < settings.panes:
            return reference
        block = Block.of(self._filling)
        self._filling.clear()
        if not self._alarms:
            self._blocks.append(block)
            self._new = []
        else:
            self._new.append(block)
            if len(self._new) < min(_RENEWED, settings.blocks):
                return reference
            self._blocks = deque(self._new, maxlen=settings.blocks)
            self._new = []
            # No reference makes a feature lively that repeats itself.
            self._alarms = {each for each in self._alarms if each[1] is Move.STALE}
        self._reference = Reference(self._category, reference.binning, list(self._blocks))
        return self._reference

    def _shift(
        self, reference: Reference, window: Tally, comparison: Comparison, found: tuple[int, Move, str]
    ) -> Shift:
        index, test, kind = found
        measured = comparison.measured[test]
        before, now = comparison.levels(index, test)
        edges, codes = reference.binning.edges[index], reference.binning.codes[index]
        bins = int(reference.binning.used[index].sum())
        statistic = measured.statistic
        if test is Move.DISTRIBUTION:
            statistic = "jensen-shannon" if self._category[index] else "psi"
        return Shift(
            signal=index,
            test=test,
            kind=kind,
            statistic=statistic,
            value=float(measured.value[index]),
            threshold=float(measured.threshold[index]),
            before=before,
            now=now,
            p_value=comparison.p_value(index, test),
            since=self._since(reference, window, index, test),
            edges=tuple(edges.tolist()),
            codes=tuple(codes.tolist()),
            reference=tuple(reference.total.counts[index][:bins].tolist()),
            current=tuple(window.counts[index][:bins].tolist()),
        )

    def _since(self, reference: Reference, window: Tally, index: int, test: Move) -> Mark:
        panes = list(self._panes)
        if test is Move.STALE:
            back = -(-int(self._runs.current[index]) // self._settings.pane)
            return panes[max(0, len(panes) - back)].first
        return panes[onset(panes, reference, window, index, test)].first

    def state(self) -> MonitorState:
        """Return all that was gathered; it shares arrays that are never changed."""
        reference = self._reference
        binning = reference.binning if reference is not None else None
        return MonitorState(
            passed=self._passed,
            rows=list(self._rows),
            first=(self._first.position, self._first.time),
            sample=list(self._sample),
            usual=self._usual.state(),
            runs=self._runs.state(),
            bins=None if binning is None else (list(binning.edges), list(binning.codes), binning.used),
            blocks=[(_parts(block.tally), block.levels) for block in self._blocks],
            new=[(_parts(block.tally), block.levels) for block in self._new],
            panes=[(_parts(pane.tally), (pane.first.position, pane.first.time)) for pane in self._panes],
            filling=[_parts(part) for part in self._filling],
            alarms=[(index, test.value) for index, test in sorted(self._alarms)],
            passing=self._passing,
        )

    def restore(self, state: MonitorState) -> None:
        """Go on from a `state` of a monitor with the same signals and settings."""
        self._passed = state["passed"]
        self._rows = list(state["rows"])
        self._first = Mark(*state["first"])
        self._sample = list(state["sample"])
        self._usual.restore(state["usual"])
        self._runs.restore(state["runs"])
        self._reference = None
        if state["bins"] is not None:
            edges, codes, used = state["bins"]
            binning = Binning(tuple(edges), tuple(codes), np.asarray(used, dtype=np.bool_).reshape(-1, BINS))
            blocks = [Block(Tally(*tally), levels) for tally, levels in state["blocks"]]
            self._blocks = deque(blocks, maxlen=max(len(blocks), self._settings.blocks))
            self._reference = Reference(self._category, binning, blocks)
        self._new = [Block(Tally(*tally), levels) for tally, levels in state["new"]]
        self._panes = deque(Pane(Tally(*tally), Mark(*first)) for tally, first in state["panes"])
        self._filling = [Tally(*part) for part in state["filling"]]
        self._alarms = {(index, Move(test)) for index, test in state["alarms"]}
        self._passing = state["passing"]


def _parts(tally: Tally) -> _Parts:
    return (tally.counts, tally.missing, tally.total, tally.squares, tally.size)
