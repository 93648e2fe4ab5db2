"""Many tests at a time, and again and again: how strict each must be."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["benjamini_hochberg", "level_of_test"]


def benjamini_hochberg(p_values: Sequence[float], level: float) -> list[bool]:
    """Tell which hypotheses to reject so that at most a share ``level`` of the rejected is rejected wrongly.

    Where nothing has moved at all, every rejection is wrong, so ``level`` is then the probability of any: Y. Benjamini
    and Y. Hochberg (1995), *Controlling the false discovery rate*.

    Parameters
    ----------
    p_values
        One for each hypothesis.
    level
        Between 0 and 1.

    Examples
    --------
    >>> benjamini_hochberg([0.012, 0.6, 0.02, 0.9], 0.05)
    [True, False, True, False]
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    last = 0
    for rank, index in enumerate(order, 1):
        if p_values[index] <= level * rank / len(p_values):
            last = rank
    rejected = [False] * len(p_values)
    for index in order[:last]:
        rejected[index] = True
    return rejected


def level_of_test(budget: float, events: int, families: int) -> float:
    """Return the level of one family of tests, made after so many events, that keeps a stream within its budget.

    Tests over time are not independent, but the expected number of false alarms is the sum of all levels all the same:
    so each event is given its share of the budget, and a family of tests what the events since the last one are worth.

    Parameters
    ----------
    budget
        False alarms allowed in 100,000 events.
    events
        Events from one test of the family to its next.
    families
        Families of tests that look at each event.

    Examples
    --------
    >>> level_of_test(0.5, 100, 4)
    0.000125
    """
    return budget / 100_000 * events / families
