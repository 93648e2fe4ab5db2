"""Writes the trailing state of a chain: all of it at once under a backlog, one state at a time while calm."""

from __future__ import annotations

from collections.abc import Iterator

from riverrun.errors import UnavailableError
from riverrun.records.items import Item
from riverrun.runtime.chain import Chain
from riverrun.runtime.core import TrailingState, wants_writing, writes_ahead
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.failpoints import Failpoint
from riverrun.runtime.instruments import Instruments
from riverrun.runtime.runner import StageRunner

__all__ = ["StateWriter"]

_CALM_SHARE = 0.25
"""Of the state interval, while no more waits than one batch takes: to write less at a time holds nobody up for long.

Under a backlog nobody waits for a single record, and to write once what changed many times is what counts.
"""

_NEXT_SHARE = 0.02
"""Of the state interval, between two states while calm: whoever was held up by one is through before the next."""

_STEPS_AHEAD = 8
"""Most writes ahead of one flush: where more changes meanwhile than they can take, the flush takes the rest."""

_IDLE_FLUSHES = 10
"""State intervals after which state is written though nothing was folded: a store may have been wiped meanwhile."""


class StateWriter:
    """Writes each state of a chain now and then, between two transactions.

    A round goes through all states, each of which is written with the positions that it reflects just then. States
    trail each by itself, so that a round may be spread over many transactions. What of a state may be written ahead of
    its positions is, a little at a time. What somebody waits for is written out of turn.

    Parameters
    ----------
    deployment
        Where the chain runs.
    chain
        Whose states are written.
    instruments
        Where it is noted how that went.

    Attributes
    ----------
    trouble
        Why state could not be written, or nothing.
    deferred
        What may be told now that it is stored, and by whom.
    """

    def __init__(self, deployment: Deployment, chain: Chain, instruments: Instruments) -> None:
        self.trouble = ""
        self.deferred: list[tuple[StageRunner, Item]] = []
        self._deployment = deployment
        self._chain = chain
        self._instruments = instruments
        self._interval = deployment.settings.state_interval_ms / 1000
        self._at = deployment.clocks.monotonic() + self._interval
        self._round: Iterator[None] | None = None
        self._began = 0.0
        self._unwritten = False
        places = [(runner, state) for runner in chain.runners for state in runner.stage.states]
        self._prompt = [(runner, state) for runner, state in places if wants_writing(state)]

    def committed(self) -> None:
        """Note that there is something to be written."""
        self._unwritten = True

    def is_due(self, now: float) -> bool:
        """Tell whether to write, at the monotonic time ``now`` in seconds."""
        if self._unwritten or self._round is not None:
            return now >= self._at
        return now >= self._at + _IDLE_FLUSHES * self._interval

    def write(self, *, calm: bool) -> None:
        """Write the next state of a round if ``calm``, else all that are left of it."""
        if self._round is None:
            self._round = self._write_states()
            self._began = self._deployment.clocks.monotonic()
        for _ in self._round:
            if calm:
                self._at = self._deployment.clocks.monotonic() + _NEXT_SHARE * self._interval
                return
        self._round = None
        if self.trouble:
            self._at = self._after_trouble()
        elif calm:
            self._at = self._began + _CALM_SHARE * self._interval
        else:
            self._at = self._deployment.clocks.monotonic() + self._interval

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for what a state has to tell, and nothing is known to be in the way."""
        return not self.trouble and any(state.wants_writing() for _, state in self._prompt)

    def write_awaited(self) -> None:
        """Write what somebody waits for, and nothing else; if it cannot be, a whole round decides later."""
        errors: list[UnavailableError] = []
        for runner, state in self._prompt:
            if state.wants_writing():
                self._deployment.reach(Failpoint.BEFORE_STATE)
                try:
                    self._flush(runner, state)
                except UnavailableError as error:
                    errors.append(error)
        if errors:
            self._note(errors)
            self._round = None
            self._at = self._after_trouble()
        else:
            self._at = max(self._at, self._deployment.clocks.monotonic() + _NEXT_SHARE * self._interval)

    def _after_trouble(self) -> float:
        settings = self._deployment.settings
        return self._deployment.clocks.monotonic() + max(self._interval, settings.backoff_first_ms / 1000)

    def write_all(self) -> None:
        """Write everything that has been committed, in a round of its own; nothing may be `deferred`."""
        self._round = None
        self.write(calm=False)

    def send_deferred(self) -> None:
        """Tell of what was stored, in the transaction that has begun."""
        deferred, self.deferred = self.deferred, []
        for runner, item in deferred:
            runner.send(item)

    def _write_states(self) -> Iterator[None]:
        """Write one state after another; is left between any two."""
        self._unwritten = False
        errors: list[UnavailableError] = []
        point = Failpoint.BEFORE_STATE
        for runner in self._chain.runners:
            for state in runner.stage.states:
                if point is Failpoint.BETWEEN_STATES:
                    yield
                self._deployment.reach(point)
                point = Failpoint.BETWEEN_STATES
                try:
                    if writes_ahead(state):
                        for _ in range(_STEPS_AHEAD):
                            if not state.write_ahead():
                                break
                            yield
                    self._flush(runner, state)
                except UnavailableError as error:
                    # State may trail for as long as it must, each by itself; the log has everything.
                    errors.append(error)
        self._note(errors)

    def _flush(self, runner: StageRunner, state: TrailingState) -> None:
        """Write one state, and keep what may be told of it now."""
        sent = state.flush(runner.reflected())
        if sent:
            self.deferred.extend((runner, item) for item in sent)
            self._deployment.reach(Failpoint.BEFORE_POINTER)

    def _note(self, errors: list[UnavailableError]) -> None:
        """Note what could not be written, if anything."""
        self._instruments.stored(errors)
        self.trouble = str(errors[-1]) if errors else ""
        self._unwritten = self._unwritten or bool(errors or self.deferred)
