"""Brings restored state up to the committed position: folds again, quietly, what lies between."""

from __future__ import annotations

from collections.abc import Mapping

from riverrun.runtime.core import Core
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.inputs import FOREVER, ExternalInput
from riverrun.runtime.merge import Merge
from riverrun.runtime.ports import LogUnavailableError
from riverrun.runtime.stage import split_cursor

_BATCH = 5_000
_WAIT = 0.05


class Replay:
    """Replays one stage's state from ``start`` to ``target`` (positions by cursor).

    Parameters
    ----------
    deployment
        Log, wire and heartbeat.
    core
        Whose ``replay`` is called, in the order in which its stage folded the first time.
    start, target
        Next positions: of the state as it was loaded, and as it was committed.
    """

    def __init__(self, deployment: Deployment, core: Core, start: Mapping[str, int], target: Mapping[str, int]) -> None:
        self._deployment = deployment
        self._core = core
        self._target = {name: position for name, position in target.items() if position > start.get(name, 0)}
        self._start = {name: start.get(name, 0) for name in target}
        self._reached = dict(self._start)

    def run(self) -> int:
        """Replay; return how many records were folded.

        Raises
        ------
        LogUnavailableError
            If the log ends before the target: it no longer holds what was committed, or a broker says so that is cut
            off from the others. The two look alike from here, and the second passes.
        """
        if not self._target:
            return 0
        inputs = self._open()
        merge = Merge(inputs)
        folded = 0
        try:
            while not self._done():
                took = merge.fill()
                folded += self._fold(merge)
                self._deployment.heartbeat()
                if not took and not self._done():
                    self._wait(inputs)
        finally:
            merge.close()
        return folded

    def _fold(self, merge: Merge) -> int:
        folded = 0
        target, reached, replay = self._target, self._reached, self._core.replay
        while entries := merge.take(_BATCH, self._deployment.clocks.monotonic()):
            for entry in entries:
                if entry.next <= target.get(entry.cursor, 0):
                    replay(entry.item)
                    folded += 1
                reached[entry.cursor] = entry.next
        return folded

    def _done(self) -> bool:
        return all(self._reached.get(name, 0) >= position for name, position in self._target.items())

    def _wait(self, inputs: list[ExternalInput]) -> None:
        waiting = [source for source in inputs if not source.buffer and not source.reader.at_end]
        if waiting:
            waiting[0].fill(_WAIT)
            return
        # What is missing was there when it was folded, so no input that has come to its end will bring it.
        raise LogUnavailableError(
            f"the log ends at {self._reached}, before the committed positions {self._target}",
            hint="if the brokers reach one another, committed records are gone: restore the topics, or start the "
            "pipeline under another name",
        )

    def _open(self) -> list[ExternalInput]:
        log, wire = self._deployment.log, self._deployment.wire
        by_place: dict[tuple[str, int], dict[str, int]] = {}
        for name, position in self._start.items():
            topic, partition, _ = split_cursor(name)
            by_place.setdefault((topic, partition), {})[name] = position
        inputs = []
        for (topic, partition), positions in by_place.items():
            # A record's offset is never below its position, so this bound holds without a stored hint.
            offset = sum(positions.values())
            source = ExternalInput(
                (topic, partition),
                log.reader(topic, partition, offset),
                wire.decoder(topic),
                positions,
                dense=log.start_offset(topic, partition) <= offset,
                capacity=_BATCH,
            )
            source.frontier = self._frontier(tuple(positions))
            inputs.append(source)
        return inputs

    def _frontier(self, names: tuple[str, ...]) -> _Reached:
        return _Reached(self._reached, {name: self._target[name] for name in names if name in self._target})


class _Reached:
    """An input whose target is reached holds nobody up; before that it is waited for."""

    __slots__ = ("_reached", "_target")

    def __init__(self, reached: Mapping[str, int], target: Mapping[str, int]) -> None:
        self._reached = reached
        self._target = target

    def __call__(self, now: float) -> int:
        """Return the bound; ``now`` does not matter to a replay."""
        del now
        done = all(self._reached.get(name, 0) >= position for name, position in self._target.items())
        return FOREVER if done else -FOREVER
