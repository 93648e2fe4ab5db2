"""The part of the judge that watches for drift: what was found and what was kept, held against a fold of its own.

Unlike the rest of the judge it folds with the product's own core: whether that tells what has moved is shown elsewhere.
Here it counts that crashes, replays and restored states leave no trace in it. So the judge's fold is started once,
never stored, and fed with all that the topics hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from riverrun.models.digest import digest
from riverrun.models.pickling import load_state
from riverrun.models.signing import SIGNATURE_BYTES
from riverrun.records.items import Drift, Example, Prediction
from riverrun.records.topics import Kind
from riverrun.runtime.keyed_state import POSITIONS_KEY, decode_positions
from riverrun.testing.simulation.close_watch import closely
from riverrun.testing.simulation.reading import Reading
from services.drift.core import DriftCore, DriftState
from services.drift.wiring import errors_core, inputs_core

if TYPE_CHECKING:
    from riverrun.testing.simulation.play import Play

__all__ = ["Watching"]

_FOLD_KEY: Final = b"fold"


class _Watch(NamedTuple):
    """One instance of a stage of drift: its name, its partition, its number as a writer, and its records."""

    stage: str
    partition: int
    writer: int
    items: Sequence[Prediction | Example]


class _Moment(NamedTuple):
    """The judge's fold after so many records: how many findings, the counts, and the watermark."""

    findings: int
    counters: Mapping[str, int]
    watermark: int


class _Kept(NamedTuple):
    """A stored fold: of how many records, by its positions, and the pickled state."""

    folded: int
    body: bytes


class Watching:
    """Folds the predictions and the examples once more, and compares.

    Parameters
    ----------
    play, reading
        What was played, and the topics.
    """

    def __init__(self, play: Play, reading: Reading) -> None:
        self._play = play
        self._small = play.small
        self._reading = reading
        partitions = range(self._small.partitions)
        self._found = [reading.stamped(Kind.DRIFT, partition, Drift) for partition in partitions]

    def wrongs(self) -> Iterator[str]:
        """Say what is wrong with the findings, the counts and the stored states."""
        watches = list(self._watches()) if self._small.pipeline.drift is not None else []
        writers = {(number, stamp.writer) for number, found in enumerate(self._found) for _, stamp in found}
        if not writers <= {(watch.partition, watch.writer) for watch, _ in watches}:
            yield f"drift was found by {sorted(writers)} (partition, writer), of whom some do not watch for it"
        for watch, core in watches:
            yield from self._stage(watch, core)

    def _watches(self) -> Iterator[tuple[_Watch, DriftCore]]:
        """Yield each instance of a stage, and its fold before the first record."""
        small, reading = self._small, self._reading
        for partition in range(small.partitions):
            predictions = [item for item, _ in reading.stamped(Kind.PREDICTIONS, partition, Prediction)]
            core = inputs_core(small.pipeline, small.codecs, partition, closely)
            yield _Watch("drift-inputs", partition, partition, predictions), core
        examples = [item for item, _ in reading.stamped(Kind.EXAMPLES, 0, Example)]
        # It writes where the first partition's other stage does, so it has another number.
        yield _Watch("drift-errors", 0, small.partitions, examples), errors_core(small.pipeline, small.codecs, closely)

    def _stage(self, watch: _Watch, core: DriftCore) -> Iterator[str]:
        kept = max(self._kept(watch), key=lambda each: each.folded, default=None)
        due: list[Drift] = []
        moments = [_Moment(0, dict(core.counters()), core.watermark)]
        for folded, item in enumerate(watch.items, 1):
            due += core.step(item)
            moments.append(_Moment(len(due), dict(core.counters()), core.watermark))
            if kept is not None and folded == kept.folded:
                yield from _compare(watch, kept, core)
        yield from self._findings(watch, due)
        yield from self._committed(watch, moments)
        # What a member stores that still runs when its disk is lost is lost as well.
        if not self._play.disk_lost and (0 if kept is None else kept.folded) != len(watch.items):
            yield f"{watch.stage}[{watch.partition}] has not stored what {len(watch.items)} records make at its end"

    def _findings(self, watch: _Watch, due: Sequence[Drift]) -> Iterator[str]:
        """Each finding is there once, in order, in every detail."""
        found = [(item, stamp) for item, stamp in self._found[watch.partition] if stamp.writer == watch.writer]
        told = f"{watch.stage}[{watch.partition}]"
        if [stamp.seq for _, stamp in found] != list(range(len(found))):
            yield f"{told} has findings at the positions {[stamp.seq for _, stamp in found]}"
        if [item.id for item, _ in found] != [drift.id for drift in due]:
            yield f"{told} found {[item.message for item, _ in found]}, undisturbed {[each.message for each in due]}"
            return
        for number, ((item, stamp), drift) in enumerate(zip(found, due, strict=True)):
            wanted = replace(drift, seq=number)
            if item != wanted or stamp.source != wanted.source:
                yield f"{told} found {item}, undisturbed {wanted}"

    def _committed(self, watch: _Watch, moments: Sequence[_Moment]) -> Iterator[str]:
        """Each commit record says what the fold is after the records that it counts; the last one counts all."""
        topic, _ = self._reading.place(Kind.DRIFT, watch.partition)
        told = f"{watch.stage}[{watch.partition}]"
        folded = 0
        for progress in self._reading.progress(watch.stage, watch.partition):
            folded = sum(place.next for place in progress.inputs)
            said = _Moment(progress.outputs.get(topic, 0), progress.counters, progress.watermark)
            if folded >= len(moments) or said != moments[folded]:
                yield f"{told} committed {said} after {folded} records, which make {moments[folded : folded + 1]}"
        if folded != len(watch.items):
            yield f"{told} has folded {folded} records of {len(watch.items)}"

    def _kept(self, watch: _Watch) -> Iterator[_Kept]:
        """Yield what each machine has stored of a fold, as the next process there would find it."""
        folder = self._small.settings.state_folder / self._small.pipeline.name / watch.stage / str(watch.partition)
        for disk in self._play.disks:
            store = disk.open(folder)
            positions, content = store.get(POSITIONS_KEY), store.get(_FOLD_KEY)
            store.close()
            if positions is not None and content is not None:
                yield _Kept(sum((decode_positions(positions) or {}).values()), content[:-SIGNATURE_BYTES])


def _compare(watch: _Watch, kept: _Kept, core: DriftCore) -> Iterator[str]:
    """Compare a stored state with the fold of as many records."""
    _, _, state = cast("tuple[str, object, DriftState]", load_state(kept.body))
    if digest(state) != digest(core.state()):
        yield f"{watch.stage}[{watch.partition}] has stored another state than {kept.folded} records make"
