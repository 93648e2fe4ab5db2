"""Where a shift began, among the panes that led up to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from riverrun.drift.binning import Tally
from riverrun.drift.distances import shares
from riverrun.drift.reference import Reference
from riverrun.drift.shifts import Mark
from riverrun.drift.signals import Move

__all__ = ["Pane", "onset"]


class Pane(NamedTuple):
    """Neighbouring records, counted; ``first`` is the first of them."""

    tally: Tally
    first: Mark


def onset(panes: Sequence[Pane], reference: Reference, window: Tally, index: int, test: Move) -> int:
    """Return the index of the pane with which a signal probably began to move.

    Each pane is worth how much likelier it is in the window than in the reference, and the shift began where all panes
    from there on are worth most: the change point of E. S. Page's (1954) cumulative sum.

    Parameters
    ----------
    panes
        Oldest first; the window is the last of them.
    reference, window
        As they were compared.
    index, test
        The signal, and how it moved.
    """
    worth = [_worth(pane.tally, reference, window, index, test) for pane in panes]
    ahead = np.cumsum(worth[::-1])[::-1]
    return int(np.argmax(ahead))


def _worth(pane: Tally, reference: Reference, window: Tally, index: int, test: Move) -> float:
    if test is Move.DISTRIBUTION:
        used = reference.binning.used[index]
        before = shares(reference.total.counts[index], used)[used]
        now = shares(window.counts[index], used)[used]
        return float((pane.counts[index][used] * np.log(now / before)).sum())
    if test is Move.MISSING:
        before_share = reference.total.missing[index] / reference.total.size
        middle = (before_share + window.missing[index] / window.size) / 2.0
        return float(pane.missing[index] - middle * pane.size)
    before_mean, now_mean = float(reference.total.mean()[index]), float(window.mean()[index])
    excess = float(pane.total[index] - (before_mean + now_mean) / 2.0 * pane.present[index])
    return excess if now_mean >= before_mean else -excess
