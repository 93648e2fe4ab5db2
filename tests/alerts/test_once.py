"""Intake and fold on the in-memory log: whatever fails or is killed, each alert is on its topic once, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.pipeline import Pipeline
from riverrun.pipeline.alerts import QualityRule
from riverrun.records.items import Alert, Evaluation
from riverrun.records.topics import Kind
from riverrun.runtime.ports import FencedError, LogUnavailableError, TornError
from riverrun.runtime.topology import Topology
from riverrun.runtime.wire import Wire
from riverrun.testing.memory_log import Failure, MemoryLog
from services.alerts import alert_log
from services.alerts.alert_log import AlertLog
from services.alerts.core import AlertsCore
from services.alerts.fold import Fold, SavedState
from services.alerts.intake import Intake, IntakePace, copied_for
from services.alerts.signals import ORIGIN, Mark, Signal, read_mark
from services.alerts.tables import PARTS, StateTables
from tests.alerts.made import HOUR, NAME, START, evaluation, intake, pipeline_of, wire_of

RULES: Final = tuple(
    QualityRule(name=model, model=model, metric="ROCAUC", below=0.7, cooldown="1h", burst=1_000_000)
    for model in ("line", "other")
)


class World:
    """A pipeline on the in-memory log, with one intake and one fold, each of which can be killed.

    What Faust would do is done here: records of the signals are handed over from the group's offset, which may be
    anywhere up to what was handed over; what is saved in tables is written down as JSON at the next commit, as it is
    then.
    """

    def __init__(self, wire: Wire, pipeline: Pipeline) -> None:
        self.log = MemoryLog()
        self.topology = Topology(NAME, 2)
        self.log.ensure_topics(self.topology.specs())
        self.pipeline = pipeline
        self.wire = wire
        self.published: list[list[Evaluation]] = [[], []]
        self.rows: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
        self.written = b"{}"
        self.tables = StateTables(self.rows)
        self.offset = self.next = 0
        self.clock = 0.0
        self.hurried = False
        self.intake, self.fold = self.new_intake(), self.new_fold()

    @property
    def signals(self) -> str:
        """The signals topic."""
        return self.topology.names[Kind.ALERT_SIGNALS]

    def new_intake(self) -> Intake:
        """Start another intake, as another process would."""
        pace = IntakePace(lambda seconds: False, lambda: self.clock)
        place = self.signals, "intake"
        return Intake(self.log, place, copied_for(self.pipeline, self.topology), dict, pace)

    def new_fold(self) -> Fold:
        """Start another fold, as another process would."""
        alerts = AlertLog(
            self.log, self.wire, (self.topology.names[Kind.ALERTS], "alerts"), lambda seconds: self.hurried
        )
        return Fold(self.pipeline, self.log, self.signals, self.wire.codecs.decode, alerts)

    def publish(self, value: float, partition: int = 0) -> None:
        """Report a model's quality."""
        mine = self.published[partition]
        made = evaluation(value, START + 2 * HOUR * len(mine), "line" if partition == 0 else "other")
        mine.append(made)
        key, payload, headers = self.wire.to_wire(made, partition)
        self.log.append(self.topology.names[Kind.EVALUATIONS], partition, payload, key=key, headers=headers)

    def copy(self) -> None:
        """Let the intake work once; what stops it does not end it."""
        try:
            self.intake.run_once()
        except (LogUnavailableError, TornError):
            self.intake.close()
            self._open_intake()

    def _open_intake(self) -> None:
        try:
            self.intake.open()
        except LogUnavailableError:
            self.intake.close()

    def kill_intake(self) -> None:
        """Replace the intake without a word to the old one."""
        self.intake = self.new_intake()
        self._open_intake()

    def take(self, count: int) -> None:
        """Hand records to the fold, and commit none of them yet."""
        records = [each for each in self.log.records(self.signals, 0) if each.offset >= self.next][:count]
        if not records:
            return
        try:
            if not self.fold.is_open:
                self.fold.open(self.load())
            self.fold.take(records)
        except LogUnavailableError:
            self.next = self.offset
            return
        self.next = records[-1].offset + 1

    def pass_over(self) -> None:
        """Hand some records to nobody, as Faust does now and then when a process has just begun."""
        self.next = min(self.next + 3, self.log.high_watermark(self.signals, 0))

    def save(self) -> None:
        """Save a state in the tables."""
        saved = self.fold.saved()
        if saved is not None:
            self.tables.save(saved)

    def load(self) -> SavedState | None:
        """Read the tables, as after a start."""
        return StateTables(self.rows).load()

    def commit(self) -> None:
        """Commit the group's offset, whether or not the tables reflect it, and write the tables down."""
        self.offset = self.next
        self.written = orjson.dumps(self.rows)

    def kill_fold(self, *, wiped: bool = False) -> None:
        """Replace the fold; perhaps the tables are lost as well."""
        self.rows = {part: {} for part in PARTS} | ({} if wiped else orjson.loads(self.written))
        self.tables = StateTables(self.rows)
        self.tables.load()
        self.fold = self.new_fold()
        self.next = self.offset

    def told(self) -> list[Alert]:
        """Return what is on the alerts topic."""
        records = self.log.records(self.topology.names[Kind.ALERTS], 0)
        return [item for record in records if isinstance(item := self.wire.item(record), Alert)]

    def hurry(self) -> None:
        """Let the fold give up when the log is away, or be patient again."""
        self.hurried = not self.hurried

    def finish(self) -> None:
        """Let everything that is there be folded."""
        self.hurried = False
        self.log.heal()
        # There is a mark now and then, whatever comes.
        self.clock += 10.0
        self.copy()
        self.copy()
        for _ in range(3):
            self.take(1_000)

    def expected(self) -> Mapping[str, list[str]]:
        """Return the alerts' ids by model: each partition folded by itself, since their order is nobody's business."""
        found: dict[str, list[str]] = {}
        for partition, mine in enumerate(self.published):
            core = AlertsCore(self.pipeline)
            topic = self.topology.names[Kind.EVALUATIONS]
            for number, each in enumerate(mine):
                place = each.source._replace(topic=topic, partition=partition, position=number)
                step = core.step(Signal(number, 1, place, each))
                for alert in step.alerts:
                    found.setdefault(alert.subject, []).append(alert.id)
        return found


@pytest.fixture(scope="module")
def make_world() -> Callable[[], World]:
    """Make worlds that share what is slow to make."""
    pipeline = pipeline_of(*RULES)
    wire = wire_of(pipeline)
    return lambda: World(wire, pipeline)


ACTIONS: Final[Mapping[str, Callable[[World], None]]] = {
    "bad": lambda world: world.publish(0.5),
    "good": lambda world: world.publish(0.9),
    "bad elsewhere": lambda world: world.publish(0.5, 1),
    "copy": World.copy,
    "take one": lambda world: world.take(1),
    "pass over": World.pass_over,
    "take all": lambda world: world.take(1_000),
    "save": World.save,
    "commit": World.commit,
    "kill intake": World.kill_intake,
    "kill fold": World.kill_fold,
    "kill fold, lose tables": lambda world: world.kill_fold(wiped=True),
    "refuse a commit": lambda world: world.log.fail_next(Failure.COMMIT_REFUSED),
    "lose an answer": lambda world: world.log.fail_next(Failure.COMMIT_UNKNOWN),
    "tear": lambda world: world.log.hold_commit(),
    "untear": lambda world: void(world.log.release_commits()),
    "hurry": World.hurry,
    "fail a read": lambda world: world.log.fail_next(Failure.READ),
    "fail a tail": lambda world: world.log.fail_next(Failure.TAIL),
    "fail an opening": lambda world: world.log.fail_next(Failure.OPEN),
}


def void(anything: object) -> None:
    """Drop a result."""
    del anything


WORK: Final = ("bad", "good", "bad elsewhere", "copy", "copy", "take one", "take all", "take all", "save", "commit")
"""What goes on all the time; the other actions are rarer."""


@settings(max_examples=150)
@given(st.lists(st.sampled_from([*WORK, *WORK, *sorted(ACTIONS)]), min_size=30, max_size=80))
def test_each_alert_is_told_once_whatever_happens(make_world: Callable[[], World], actions: list[str]) -> None:
    """After any kills, losses and failures: no alert is missing, none is double, and their numbers have no gap."""
    world = make_world()
    for action in actions:
        ACTIONS[action](world)
    world.finish()
    told = world.told()
    assert [alert.seq for alert in told] == list(range(len(told)))
    by_model: dict[str, list[str]] = {}
    for alert in told:
        by_model.setdefault(alert.subject, []).append(alert.id)
    assert by_model == world.expected()
    origins = [origin for record in world.log.records(world.signals, 0) if (origin := dict(record.headers).get(ORIGIN))]
    assert len(set(origins)) == len(origins), "the intake copied a record twice"


def test_lost_tables_double_nothing_however_long_the_history(
    make_world: Callable[[], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fold that begins anew knows every alert of the topic, not only the newest."""
    monkeypatch.setattr(alert_log, "_KEPT", 3)
    world = make_world()
    for value in [0.5, 0.9] * 6:
        world.publish(value)
    world.finish()
    before = [alert.id for alert in world.told()]
    assert len(before) > 10
    world.kill_fold(wiped=True)
    world.offset = world.next = 0
    world.publish(0.5)
    world.finish()
    after = [alert.id for alert in world.told()]
    assert after[: len(before)] == before
    assert len(after) == len(set(after)) == len(before) + 1


def test_a_replaced_intake_and_a_replaced_fold_write_nothing_more(make_world: Callable[[], World]) -> None:
    """The old ones come back after the new ones have begun: they are shut out."""
    world = make_world()
    world.kill_intake()
    old = world.intake
    world.kill_intake()
    world.publish(0.5)
    with pytest.raises(FencedError):
        old.run_once()
    world.copy()
    frozen = world.fold
    frozen.open(None)
    world.kill_fold()
    world.fold.open(None)
    with pytest.raises(FencedError):
        frozen.take(world.log.records(world.signals, 0))
    world.take(1_000)
    assert len(world.told()) == 1


def test_the_intake_copies_only_what_a_rule_looks_at(make_world: Callable[[], World]) -> None:
    """Commit records of stages that no rule is about stay where they are."""
    world = make_world()
    world.kill_intake()
    progress = world.topology.names[Kind.PROGRESS]
    for stage in ("ingest", "features", "learn", "score"):
        made = intake(START)
        made.stage = stage
        key, value = world.wire.encode_progress(made)
        world.log.append(progress, 0, value, key=key)
    world.copy()
    origins = [(each.key, dict(each.headers).get(ORIGIN) or b"") for each in world.log.records(world.signals, 0)]
    assert [key for key, origin in origins if b"progress" in origin] == [b"ingest", b"learn", b"score"]


class _SlowCommands:
    """A log that has not fetched any command yet when it is first asked for some, as a real one."""

    def __init__(self, log: MemoryLog, topic: str) -> None:
        self._log = log
        self._topic = topic
        self.waits = 3

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def reader(self, topic: str, partition: int, offset: int) -> Any:
        """Return a reader; that of the commands finds nothing at first, and is not at the end."""
        reader = self._log.reader(topic, partition, offset)
        return reader if topic != self._topic else _SlowReader(reader, self)


class _SlowReader:
    def __init__(self, reader: Any, log: _SlowCommands) -> None:
        self._reader = reader
        self._slow = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    @property
    def at_end(self) -> bool:
        return self._slow.waits == 0 and bool(self._reader.at_end)

    def poll(self, limit: int, timeout: float = 0.0) -> list[Any]:
        if self._slow.waits:
            self._slow.waits -= 1
            return []
        found: list[Any] = self._reader.poll(limit, timeout)
        return found


def test_who_subscribed_before_the_start_is_told_of_all(make_world: Callable[[], World]) -> None:
    """Commands that were there when the intake began come before everything else, however slowly they are fetched."""
    world = make_world()
    commands = world.topology.names[Kind.ALERT_COMMANDS]
    for value in (0.5, 0.9, 0.4):
        world.publish(value)
    world.log.append(commands, 0, b"subscribe", key=b"one")
    world.log.append(commands, 0, b"subscribe", key=b"two")
    log: Any = _SlowCommands(world.log, commands)
    pace = IntakePace(lambda seconds: False, lambda: 0.0)
    starting = Intake(log, (world.signals, "intake"), copied_for(world.pipeline, world.topology), dict, pace)
    starting.open()
    for _ in range(6):
        starting.run_once()
    keys = [record.key for record in world.log.records(world.signals, 0) if read_mark(record) is None]
    assert keys[:2] == [b"one", b"two"]
    assert len(keys) == 5


def test_marks_say_where_the_intake_is_and_tick(make_world: Callable[[], World]) -> None:
    """The last record of a transaction is a mark; when nothing came, one is written each few seconds all the same."""
    world = make_world()
    clock = [0.0]
    pace = IntakePace(lambda seconds: False, lambda: clock[0])
    copied = copied_for(world.pipeline, world.topology)
    ticking = Intake(world.log, (world.signals, "intake"), copied, lambda: {"shop/0": 7}, pace)
    ticking.open()
    clock[0] = 10.0
    ticking.run_once()
    ticking.run_once()
    world.publish(0.5)
    ticking.run_once()
    records = world.log.records(world.signals, 0)
    assert [read_mark(record) is not None for record in records] == [True, False, True]
    assert read_mark(records[0]) == Mark({}, {"shop/0": 7})
    assert read_mark(records[2]) == Mark({f"{NAME}.evaluations/0": 1}, {})


def test_a_state_is_whole_or_not_there() -> None:
    """A kill between two tables leaves the state before it; the next save writes over the torn one."""
    rows: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
    tables = StateTables(rows)
    assert tables.load() is None
    tables.save((1, dict.fromkeys(PARTS, "one")))
    tables.save((2, dict.fromkeys(PARTS, "two")))
    rows[PARTS[0]]["even"] = {"position": 3, "data": "torn"}
    after = StateTables(rows)
    assert after.load() == (2, dict.fromkeys(PARTS, "two"))
    after.save((4, dict.fromkeys(PARTS, "four")))
    assert StateTables(rows).load() == (4, dict.fromkeys(PARTS, "four"))
