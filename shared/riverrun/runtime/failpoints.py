"""Named points between what is done and what is not done yet: where a death hurts most, and tests cause one."""

from __future__ import annotations

from collections.abc import Callable

from riverrun.explained import ExplainedCode

__all__ = ["Failpoint", "Reach", "nowhere"]


class Failpoint(ExplainedCode):
    """A point that a task passes; `explanation` says what is done when it does.

    Examples
    --------
    >>> Failpoint("after-commit").explanation
    'A batch is committed; no state reflects it yet.'
    """

    BEFORE_COMMIT = "before-commit", "A batch is folded and sent; it is not committed."
    AFTER_COMMIT = "after-commit", "A batch is committed; no state reflects it yet."
    BEFORE_STATE = (
        "before-state",
        "Trailing state is about to be written, for the first of the stages or for one out of turn.",
    )
    BETWEEN_STATES = "between-states", "One stage's state is written; those of the stages after it are not."
    BEFORE_POINTER = "before-pointer", "Snapshots are in the model store; no record points at them yet."
    IN_RESTORE = "in-restore", "A stage's state is loaded and not yet brought up to what was committed."
    AFTER_RESTORE = "after-restore", "Everything is restored; nothing is read yet."


Reach = Callable[[Failpoint], None]
"""Called with each point that a task passes."""


def nowhere(point: Failpoint) -> None:
    """Pass a point by: what every run but a test does."""
