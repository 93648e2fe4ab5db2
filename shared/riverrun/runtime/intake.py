"""What a chain takes in from outside: its readers, their order, and its side inputs."""

from __future__ import annotations

from riverrun.records.topics import Kind
from riverrun.runtime.chain import Chain
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.frontier import Hop, UpstreamFrontier
from riverrun.runtime.history import History
from riverrun.runtime.inputs import FOREVER, Decode, Entry, ExternalInput, IdleFrontier
from riverrun.runtime.merge import Merge
from riverrun.runtime.ports import Reader, Record
from riverrun.runtime.runner import StageRunner
from riverrun.runtime.stage import Positions, SideInput, cursor, split_cursor
from riverrun.runtime.tracing import TracedRecords

_SETTLE_WAIT = 0.05
_HEADERS, _EVENT_HEADERS = 2, 3
"""How many headers records of riverrun's own topics have: position and source; events also their stream."""


class Intake:
    """The external inputs of a chain on one partition; ``traced`` marks the records that are traced, if any are."""

    def __init__(
        self, chain: Chain, deployment: Deployment, partition: int, traced: TracedRecords | None = None
    ) -> None:
        self.chain = chain
        self._traced = traced
        self.consumers: dict[str, list[StageRunner]] = {}
        self._deployment = deployment
        self._partition = partition
        self._capacity = deployment.settings.memory.read_ahead
        self._frontiers: list[UpstreamFrontier] = []
        self._sides: list[tuple[SideInput, Reader]] = []
        self._offsets: dict[tuple[str, int], int] = {}
        self._left = any(runner.left for runner in chain.runners)
        for runner in chain.runners:
            for topic in runner.definition.inputs(deployment.pipeline):
                if topic not in chain.by_topic:
                    self.consumers.setdefault(topic, []).append(runner)
        self._inputs = [self._open(topic, runners) for topic, runners in self.consumers.items()]
        self._merge = Merge(self._inputs)
        for source in self._inputs:
            self._set_frontier(source)
        self._open_sides()

    def _open(self, topic: str, runners: list[StageRunner]) -> ExternalInput:
        deployment = self._deployment
        place = deployment.topology.place(topic, self._partition)
        positions: Positions = {}
        prefix = f"{topic}/{place}/"
        offset = 1 << 62
        for runner in runners:
            own = {name: position for name, position in runner.positions.items() if name.startswith(prefix)}
            offset = min(offset, max(runner.hints.get((topic, place), 0), sum(own.values())))
            for name, position in own.items():
                positions[name] = min(position, positions.get(name, position))
            if not own:
                positions, offset = {}, 0
                break
        log = deployment.log
        internal = deployment.topology.owns(topic)
        source = ExternalInput(
            (topic, place),
            log.reader(topic, place, offset),
            self._decoder(topic, runners),
            positions,
            dense=internal and log.start_offset(topic, place) <= offset,
            capacity=self._capacity,
        )
        source.most_bytes = deployment.settings.memory.read_buffer
        return source

    def _decoder(self, topic: str, runners: list[StageRunner]) -> Decode:
        decode = self._plain_decoder(topic, runners)
        if self._traced is None:
            return decode
        topology = self._deployment.topology
        own = 0
        if topology.owns(topic):
            own = _EVENT_HEADERS if topology.kind(topic) is Kind.EVENTS else _HEADERS
        return self._traced.watching(decode, own_headers=own, begins=own == 0)

    def _plain_decoder(self, topic: str, runners: list[StageRunner]) -> Decode:
        decode = runners[0].stage.decode
        if decode is None or self._deployment.topology.owns(topic):
            wanted = [runner.stage.fields_of for runner in runners]
            known = [each for each in wanted if each is not None]
            return self._deployment.wire.decoder(
                topic, frozenset().union(*known) if len(known) == len(wanted) else None
            )

        def from_producer(record: Record) -> tuple[int, object, int, int]:
            item = decode(record)
            # A dead letter has no event time: it goes first, and holds nobody up.
            return getattr(item, "time", -1), item, -1, record.offset

        return from_producer

    def _set_frontier(self, source: ExternalInput) -> None:
        topology = self._deployment.topology
        if not topology.owns(source.topic):
            source.frontier = IdleFrontier(source, self._deployment.settings.idle_limit_ms)
        elif topology.kind(source.topic) is Kind.EVENTS:
            source.frontier = _NextEvent(source, cursor(source.topic, source.partition, self._partition))
        elif topology.kind(source.topic) is Kind.EXAMPLES:
            source.frontier = _HoldsNobody()
        elif len(self._inputs) > 1:
            source.frontier = self._upstream(source)

    def _upstream(self, source: ExternalInput) -> UpstreamFrontier:
        deployment = self._deployment
        names = deployment.topology.names
        events, vectors, predictions = names[Kind.EVENTS], names[Kind.VECTORS], names[Kind.PREDICTIONS]
        progress = names[Kind.PROGRESS]
        hops = [Hop("features", events, vectors), Hop("score", vectors, predictions)]
        if source.topic == vectors:
            hops.pop()
        start = deployment.log.high_watermark(progress, self._partition)
        stages = [hop.stage for hop in hops]
        # Read to where the reader begins: a record in between would be missed until the stage commits another.
        history = History(deployment.log, deployment.wire, (progress, self._partition), stages, reaching=start)
        reader = deployment.log.reader(progress, self._partition, start)
        name = cursor(source.topic, source.partition, self._partition)
        frontier = UpstreamFrontier(source, name, reader, deployment.wire, hops)
        for hop in hops:
            latest = history.latest(hop.stage)
            if latest is not None:
                frontier.offer(latest)
        self._frontiers.append(frontier)
        return frontier

    def _open_sides(self) -> None:
        log = self._deployment.log
        for runner in self.chain.runners:
            side = runner.stage.side
            if side is None:
                continue
            reader = log.reader(side.topic, 0, 0)
            self._sides.append((side, reader))
            while not reader.at_end:
                for record in reader.poll(1_000, _SETTLE_WAIT):
                    side.offer(record)
                self._deployment.heartbeat()
            side.settle()

    def poll(self) -> int:
        """Read what has arrived; return how many records came in."""
        for side, reader in self._sides:
            for record in reader.poll(100):
                side.offer(record)
        return self._merge.fill()

    def take(self, limit: int, now: float) -> list[Entry]:
        """Return up to ``limit`` records in their certain order, and note the offsets reached.

        The first time, after a torn transaction, all those of which it has left outputs, however many: their outputs
        count as written already, so one commit record must say that all of them are folded.
        """
        if self._left:
            self._left = False
            entries = [entry for source in self._inputs for entry in source.take_through(self._last_left(source))]
        else:
            entries = self._merge.take(limit, now)
        latest = {entry.cursor: entry.offset + 1 for entry in entries}
        for name, offset in latest.items():
            topic, partition, _ = split_cursor(name)
            # With several writers, the last record taken is the last of any of them.
            place = topic, partition
            self._offsets[place] = max(offset, self._offsets.get(place, 0))
            for runner in self.consumers[topic]:
                runner.hints[place] = self._offsets[place]
        return entries

    def _last_left(self, source: ExternalInput) -> int:
        place = source.topic, source.partition
        left = [each for runner in self.consumers[source.topic] for each in runner.left]
        return max((each.position for each in left if (each.topic, each.partition) == place), default=-1)

    def offsets(self) -> dict[tuple[str, int], int]:
        """Return the Kafka offset after the last record taken of each input."""
        return dict(self._offsets)

    def lag(self) -> int:
        """Return about how many records of all inputs are not folded yet."""
        return sum(len(source.buffer) + source.reader.unread for source in self._inputs)

    def caught_up(self, batch: int) -> bool:
        """Tell whether no more waits, be it read or not, than one batch takes.

        To ask for the very end would be too much: while others write, there is always something beyond it.
        """
        return self.lag() <= batch

    def exhausted(self) -> bool:
        """Tell whether every input, and what is known of those to come, has been read to its present end."""
        return all(source.reader.at_end for source in self._inputs) and all(each.settled for each in self._frontiers)

    def close(self) -> None:
        """Close all readers."""
        self._merge.close()
        for frontier in self._frontiers:
            frontier.close()
        for _, reader in self._sides:
            reader.close()


class _HoldsNobody:
    """No stage folds examples together with anything else: whoever reads another topic need not wait for them."""

    __slots__ = ()

    def __call__(self, now: float) -> int:
        """Return the bound; ``now`` does not matter."""
        del now
        return FOREVER


class _NextEvent:
    """Events have no holes, so the order of the next one is known before it arrives."""

    __slots__ = ("_name", "_source")

    def __init__(self, source: ExternalInput, name: str) -> None:
        self._source = source
        self._name = name

    def __call__(self, now: float) -> int:
        """Return the order of the next event; ``now`` does not matter."""
        del now
        return 2 * self._source.expected(self._name) + 1
