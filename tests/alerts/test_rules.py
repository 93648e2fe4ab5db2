"""What each kind of rule notices, fact by fact."""

from __future__ import annotations

import pytest

from riverrun.pipeline.alerts import (
    ChampionRule,
    CounterRule,
    DeadLetterRule,
    DriftRule,
    LagRule,
    QualityRule,
    SilenceRule,
)
from riverrun.pipeline.drift import Drift
from riverrun.records.items import InputPosition, Progress
from riverrun.runtime.stage import StageDefinition
from services.alerts.stage_topics import topics_read
from services.catalogue import STAGES
from tests.alerts.made import (
    DAY,
    HOUR,
    NAME,
    START,
    Told,
    alias,
    evaluation,
    finding,
    intake,
    levels,
    pipeline_of,
    statuses,
)


def test_quality_below_its_floor_is_told_until_it_recovers() -> None:
    """Raised when the window's figure falls below the bound, resolved when it is back; figures and bound are told."""
    told = Told(QualityRule(name="q", metric="ROCAUC", below=0.7))
    found = told.tell(*levels([0.9, 0.6, 0.65, 0.8]))
    assert statuses(found) == ["raised", "resolved"]
    assert found[0].values == {"value": 0.6, "examples": 1_000.0, "limit": 0.7}
    assert found[0].title == "ROCAUC of line is 0.6, below 0.7"
    assert (found[0].time, found[1].time) == (START + HOUR, START + 3 * HOUR)
    assert found[1].incident == found[0].id


@pytest.mark.parametrize(("value", "told"), [(0.7, False), (0.699, True), (0.9, False), (0.901, True)])
def test_quality_on_its_bound_is_fine(value: float, told: bool) -> None:
    """Both bounds may be reached, not passed."""
    rule = QualityRule(name="q", metric="ROCAUC", below=0.7, above=0.9)
    assert bool(Told(rule).tell(evaluation(value, START))) is told


def test_quality_is_the_champions_unless_another_model_is_named() -> None:
    """Without a model the champion counts, and when another becomes champion what the first did is over."""
    told = Told(
        QualityRule(name="q", metric="ROCAUC", below=0.7),
        QualityRule(name="o", metric="ROCAUC", below=0.7, model="other"),
    )
    assert [alert.rule for alert in told.tell(evaluation(0.6, START, "other"))] == ["o"]
    assert [alert.rule for alert in told.tell(evaluation(0.6, START, "line"))] == ["q"]
    over = told.tell(alias("other"))
    assert [(alert.rule, alert.status, alert.subject) for alert in over] == [("q", "resolved", "line")]
    assert [alert.subject for alert in told.tell(evaluation(0.6, START + HOUR, "other")) if alert.rule == "q"] == [
        "other"
    ]


def test_a_metric_without_a_figure_says_nothing() -> None:
    """An evaluation whose window has no such metric neither raises nor resolves."""
    told = Told(QualityRule(name="q", metric="LogLoss", above=0.5))
    assert told.tell(evaluation(0.6, START)) == []


def test_a_change_of_champion_is_told_once() -> None:
    """The pipeline file's own champion is no change, nor is the same alias again; another model is."""
    told = Told(ChampionRule(name="c", cooldown="1ms"))
    told.tell(evaluation(0.5, START))
    assert told.tell(alias("line")) == []
    (alert,) = told.tell(alias("other"))
    assert (alert.status, alert.subject, alert.text) == ("raised", "other", "By ada: better by 2 %")
    assert told.tell(alias("other")) == []


def _counts(accepted: int, dead: int, duplicates: int = 0) -> dict[str, int]:
    return {"accepted": accepted, "duplicates": duplicates, "dead_letters": dead, "dead:rule": dead}


def test_dead_letters_are_compared_with_all_records_of_the_period() -> None:
    """What was counted before the first report is left out; the share is that of the last hour, duplicates included."""
    told = Told(DeadLetterRule(name="d", share=0.1, over="1h", least=10))
    assert told.tell(intake(START, _counts(1_000, 900))) == []
    assert told.tell(intake(START + HOUR // 2, _counts(1_080, 909, 11))) == [], "9 of 100 are below the least"
    (alert,) = told.tell(intake(START + HOUR, _counts(1_160, 930, 10)))
    assert alert.values == {"value": 0.15, "limit": 0.1, "dead_letters": 30.0, "records": 200.0}
    assert "rule (30)" in alert.text


def test_dead_letters_of_long_ago_do_not_count() -> None:
    """When the period has moved on, the incident is over."""
    told = Told(DeadLetterRule(name="d", share=0.1, over="1h", least=10))
    told.tell(intake(START, _counts(0, 0)))
    assert statuses(told.tell(intake(START + HOUR, _counts(50, 50)))) == ["raised"]
    assert statuses(told.tell(intake(START + 2 * HOUR, _counts(150, 51)))) == ["resolved"]


def test_dead_letters_of_all_partitions_are_added_up() -> None:
    """Each partition's counters are its own; the limit is for the pipeline."""
    told = Told(DeadLetterRule(name="d", share=0.1, over="1h", least=10))
    for partition in (0, 1):
        told.tell(intake(START, _counts(0, 0), partition=partition))
    assert told.tell(intake(START + 60_000, _counts(90, 6), partition=0)) == []
    assert statuses(told.tell(intake(START + 60_000, _counts(10, 6), partition=1))) == ["raised"]


def test_a_stream_is_silent_by_event_time() -> None:
    """Other streams push time on while nothing more is read of it: silent; when it is heard again, that is over."""
    told = Told(SilenceRule(name="s", stream="asked", over="6h"))
    assert told.tell(intake(START, asked=10), intake(START + 6 * HOUR, asked=10)) == []
    (alert,) = told.tell(intake(START + 7 * HOUR, asked=10))
    assert (alert.status, alert.title) == ("raised", "Nothing from asked for 7h")
    assert statuses(told.tell(intake(START + 7 * HOUR + 1, asked=11))) == ["resolved"]


def test_when_all_streams_are_silent_the_clock_tells() -> None:
    """Nothing comes at all: the ticks' time counts."""
    told = Told(SilenceRule(name="s", stream="asked", over="10m"))
    told.tell(intake(START, asked=10))
    assert told.pass_time(600) == []
    assert statuses(told.pass_time(10)) == ["raised"]


def test_while_the_service_was_down_no_stream_was_silent() -> None:
    """A gap of days between two signals says that nobody looked, not that nothing came."""
    told = Told(SilenceRule(name="s", stream="asked", over="10m"))
    told.tell(intake(START, asked=10))
    told.wall += 5 * DAY
    assert told.tell(None) == []


def test_another_topic_read_further_ahead_silences_no_stream() -> None:
    """An evaluation of next week is read before this week's commit records: only ingest's own time counts."""
    told = Told(SilenceRule(name="s", stream="asked", over="6h"))
    told.tell(intake(START, asked=10))
    assert told.tell(evaluation(0.9, START + 7 * DAY)) == []


def _stage(stage: str, inputs: dict[str, int], outputs: dict[str, int]) -> Progress:
    places = tuple(InputPosition(topic, 0, 0, folded, folded) for topic, folded in inputs.items())
    return Progress(stage, 0, places, outputs, {}, START)


def test_lag_is_what_was_written_and_not_folded() -> None:
    """Counted from what the stage before has written, and over when the stage has caught up."""
    told = Told(LagRule(name="l", stage="learn", records=100))
    examples = f"{NAME}.examples"
    assert told.tell(_stage("learn", {examples: 10}, {}), _stage("labels", {}, {examples: 110})) == []
    (alert,) = told.tell(_stage("labels", {}, {examples: 111}))
    assert alert.values == {"value": 101.0, "limit": 100.0}
    assert statuses(told.tell(_stage("learn", {examples: 111}, {}))) == ["resolved"]


def test_a_stage_that_never_committed_lags_behind_all_there_is() -> None:
    """Nobody runs it, or it cannot start: what is written from now on waits for it."""
    told = Told(LagRule(name="l", stage="score", records=100))
    vectors, events = f"{NAME}.vectors", f"{NAME}.events"
    assert told.tell(_stage("ingest", {}, {events: 900}), _stage("features", {events: 10}, {vectors: 10})) == []
    assert told.tell(_stage("features", {events: 110}, {vectors: 110})) == []
    (alert,) = told.tell(_stage("features", {events: 111}, {vectors: 111}))
    assert alert.values == {"value": 101.0, "limit": 100.0}
    assert statuses(told.tell(_stage("score", {vectors: 111}, {}))) == ["resolved"]


def test_a_stage_that_is_heard_of_last_does_not_lag() -> None:
    """Whoever begins to watch a pipeline that has run for years reads the others' commit records first."""
    told = Told(LagRule(name="l", stage="score", records=100))
    vectors = f"{NAME}.vectors"
    assert told.tell(_stage("features", {}, {vectors: 1_000_000}), _stage("score", {vectors: 999_990}, {})) == []
    (alert,) = told.tell(_stage("features", {}, {vectors: 1_000_100}))
    assert alert.values == {"value": 110.0, "limit": 100.0}


@pytest.mark.parametrize("stage", STAGES.values(), ids=list(STAGES))
def test_what_a_stage_reads_is_known_here(stage: StageDefinition) -> None:
    """The topics by which its lag is counted are those that its wiring names."""
    pipeline = pipeline_of(drift=Drift())
    assert topics_read(pipeline, stage.name) == set(stage.inputs(pipeline))


def test_lag_of_ingest_is_counted_from_the_topics_ends() -> None:
    """Marks bring where the producers' topics end."""
    told = Told(LagRule(name="l", stage="ingest", records=100))
    told.tell(intake(START, asked=10))
    assert told.step(None, {f"{NAME}-raw.asked/0": 110}).alerts == ()
    assert statuses(told.step(None, {f"{NAME}-raw.asked/0": 500}).alerts) == ["raised"]


def test_a_counter_that_rises_is_told() -> None:
    """Each rise is told, by how much; a counter that stands still is not."""
    told = Told(CounterRule(name="c", stage="ingest", counter="duplicates", cooldown="1ms"))
    assert told.tell(intake(START, {"duplicates": 0})) == []
    assert [alert.values for alert in told.tell(intake(START + 1, {"duplicates": 3}))] == [{"value": 3.0}]
    assert told.tell(intake(START + HOUR, {"duplicates": 3})) == []


def _scored(refused: int) -> Progress:
    return Progress("score", 0, (), {}, {"models_refused": refused} if refused else {}, START)


def test_a_refused_model_is_always_told() -> None:
    """Whatever rules there are, and with none; a pipeline's own rule on that counter takes the place of this one."""
    (alert,) = Told().tell(_scored(0), _scored(1))
    assert (alert.rule, alert.severity) == ("riverrun.refused-models", "critical")
    own = CounterRule(name="mine", stage="score", counter="models_refused", severity="info")
    assert [each.rule for each in Told(own).tell(_scored(1))] == ["mine"]


def test_a_refused_checkpoint_is_always_told() -> None:
    """The learner's own files too: whoever forged one can write to the store, though the learner needs none of them."""

    def started(refused: int) -> Progress:
        return Progress("learn", 0, (), {}, {"checkpoints_refused": refused} if refused else {}, START)

    (alert,) = Told().tell(started(0), started(1))
    assert (alert.rule, alert.severity) == ("riverrun.refused-checkpoints", "critical")
    own = CounterRule(name="mine", stage="learn", counter="checkpoints_refused", severity="info")
    assert [each.rule for each in Told(own).tell(started(1))] == ["mine"]
    assert [each.rule for each in Told(own).tell(_scored(1))] == ["riverrun.refused-models"]


def test_findings_of_drift_are_passed_on_with_their_segment() -> None:
    """The more severe of rule and finding counts; subject and segment tell incidents apart."""
    told = Told(DriftRule(name="d", severity="warning"))
    found = told.tell(
        finding("hour", START),
        finding("hour", START, severity="critical", segment="carrier=UA"),
        finding("hour", START + 1, segment="carrier=UA"),
    )
    assert [(alert.severity, alert.segment) for alert in found] == [("warning", {}), ("critical", {"carrier": "UA"})]
    assert found[0].text == "hour moved."


def test_a_drift_rule_may_be_for_some_kinds_and_subjects_only() -> None:
    """What is of another kind or subject is not its business."""
    told = Told(DriftRule(name="d", kinds=["error"], subjects=["line"]))
    found = told.tell(
        finding("hour", START), finding("line", START, kind="input"), finding("line", START, kind="error")
    )
    assert [alert.subject for alert in found] == ["error line"]
