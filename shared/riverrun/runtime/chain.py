"""Builds the stages of one partition and links them, each output to the stages that read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from riverrun.records.items import Item, Progress
from riverrun.runtime import collector
from riverrun.runtime.deployment import Deployment
from riverrun.runtime.failpoints import Failpoint
from riverrun.runtime.history import History, Output, left_over, written
from riverrun.runtime.link import Link
from riverrun.runtime.replay import Replay
from riverrun.runtime.runner import StageRunner
from riverrun.runtime.stage import Positions, Stage, StageContext, StageDefinition, cursor, reaches


class Chain:
    """The linked stages of one partition, restored to what was committed.

    Attributes
    ----------
    runners
        The stages, first to last.
    by_topic
        The link to each output topic that stages of the chain may read, by the topic's name.
    behind
        Index of the first stage that has not folded all of its chained input yet (it ran apart before, or a
        transaction was torn), or -1: it and those after it must catch up by themselves before the chain can run.
        The first, not the last: a stage may only fold what those before it have folded.
    said_degraded
        Whether a stage's last commit record says that something is wrong.
    """

    def __init__(self, definitions: Sequence[StageDefinition], deployment: Deployment, partition: int) -> None:
        self.definitions = tuple(definitions)
        self.runners: tuple[StageRunner, ...] = ()
        self.by_topic: dict[str, Link] = {}
        self.behind = -1
        self.said_degraded = False
        self._deployment = deployment
        self._partition = partition
        self._stages: list[Stage] = []
        self._own: dict[tuple[str, str], Link] = {}
        self._ends: Mapping[tuple[str, int], int] = {}

    def restore(self, history: History, ends: Mapping[tuple[str, int], int]) -> None:
        """Read the tails, load states, replay them quietly, and link the stages.

        Parameters
        ----------
        history
            What the stages have committed, read after all who might have were fenced.
        ends
            Confirmed ends of all partitions that they write to.
        """
        self._ends = ends
        names = frozenset(definition.name for definition in self.definitions)
        context = self._deployment.context(self._partition, names)
        tails = self._tails()
        committed = {name: history.consistent(name, tails[name]) for name in names}
        self.said_degraded = any(progress is not None and progress.degraded for progress in committed.values())
        self._make_links(tails, committed)
        # Last to first: a stage may share live objects (the learner its models) with those before it.
        runners = [self._restore_stage(d, context, committed[d.name]) for d in reversed(self.definitions)]
        self.runners = tuple(reversed(runners))
        self._connect()

    def _outputs(self, definition: StageDefinition) -> tuple[tuple[str, int], ...]:
        return self._deployment.outputs(definition, self._partition)

    def _place(self, topic: str) -> int:
        return self._deployment.topology.place(topic, self._partition)

    def _writer(self, definition: StageDefinition) -> int:
        return definition.writer(self._partition, self._deployment.topology.partitions)

    def _tails(self) -> dict[str, dict[str, int]]:
        """Return, for each stage, the position after its last record in each of its output topics."""
        deployment = self._deployment
        return {
            definition.name: {
                place[0]: written(
                    deployment.log, deployment.wire, Output(place, self._writer(definition), self._ends[place])
                )
                for place in self._outputs(definition)
            }
            for definition in self.definitions
        }

    def _make_links(self, tails: Mapping[str, Mapping[str, int]], committed: Mapping[str, Progress | None]) -> None:
        for definition in self.definitions:
            progress, own = committed[definition.name], tails[definition.name]
            for topic, place in self._outputs(definition):
                next_seq = progress.outputs.get(topic, 0) if progress is not None else 0
                link = Link(topic, place, self._writer(definition), next_seq, own[topic])
                self._own[definition.name, topic] = link
                self.by_topic[topic] = link

    @property
    def links(self) -> tuple[Link, ...]:
        """All links of the chain; where two stages write one topic, each has its own."""
        return tuple(self._own.values())

    def _routes(self, definition: StageDefinition) -> dict[type, Link]:
        outputs = definition.outputs(self._deployment.pipeline)
        by_class = self._deployment.topology.by_class
        return {cls: self._own[definition.name, name] for cls, name in by_class.items() if name in outputs}

    def _restore_stage(
        self, definition: StageDefinition, context: StageContext, progress: Progress | None
    ) -> StageRunner:
        stage = definition.build(context)
        self._stages.append(stage)
        runner = StageRunner(definition, stage, self._routes(definition))
        if progress is not None:
            for place in progress.inputs:
                runner.positions[cursor(place.topic, place.partition, place.writer)] = place.next
                runner.hints[place.topic, place.partition] = place.hint
        replays = definition.replays(self._deployment.pipeline)
        runner.replayed = tuple(link for link in runner.links if link.topic in replays)
        left = self._take_over(runner) if stage.adopt is not None else []
        self._load(stage, runner.reflected())
        if progress is not None:
            stage.core.resume(progress.counters, progress.watermark)
        for item in left:
            if stage.adopt is not None:
                stage.adopt(item)
        return runner

    def _take_over(self, runner: StageRunner) -> list[Item]:
        """Count what a torn transaction left as written, and return it.

        It cannot be made again: by now records may have arrived that would be folded first.
        """
        deployment = self._deployment
        items: list[Item] = []
        for link in runner.links:
            if link.durable > link.next_seq:
                place = link.topic, link.partition
                output = Output(place, link.writer_number, self._ends[place])
                items += left_over(deployment.log, deployment.wire, output, link.next_seq)
                link.next_seq = link.durable
        runner.left = {item.source for item in items}
        return items

    def _load(self, stage: Stage, target: Positions) -> None:
        for state in stage.states:
            with collector.paused():
                start = state.load()
            if start is not None and not reaches(start, target):
                # State ahead of its commit can only stem from another log: it is not a cache of this one.
                state.reset()
                start = None
            self._deployment.reach(Failpoint.IN_RESTORE)
            Replay(self._deployment, stage.core, start or {}, target).run()

    def _connect(self) -> None:
        pipeline = self._deployment.pipeline
        for index, runner in enumerate(self.runners):
            for topic in runner.definition.inputs(pipeline):
                link = self.by_topic.get(topic)
                if link is None:
                    continue
                name = cursor(topic, self._place(topic), self._partition)
                position = runner.positions.pop(name, 0)
                if position < max(link.next_seq, link.durable) and self.behind < 0:
                    self.behind = index
                runner.chain(name, link, position)

    def close(self) -> None:
        """Release the states' files and connections."""
        for stage in self._stages:
            for state in stage.states:
                state.close()
            if stage.side is not None:
                stage.side.close()
