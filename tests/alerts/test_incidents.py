"""Deduplication, cooldown, acknowledgement, escalation, digests and routing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from riverrun.incidents import MOMENTARY, MOST_PASSED, open_incidents
from riverrun.pipeline.alerts import ChampionRule, DeadLetterRule, DriftRule, QualityRule, Route, SilenceRule
from riverrun.records.items import Alert
from services.alerts.core import AlertsCore
from services.alerts.signals import Fact
from tests.alerts.made import (
    DAY,
    HOUR,
    START,
    Told,
    alias,
    command,
    evaluation,
    finding,
    intake,
    levels,
    pipeline_of,
    statuses,
)


def quality(**settings: Any) -> QualityRule:
    """Return the rule that most tests here use."""
    return QualityRule(**{"name": "q", "metric": "ROCAUC", "below": 0.7, "cooldown": "6h", **settings})


def test_within_the_cooldown_nothing_is_repeated() -> None:
    """After it the incident is told again if it lasts, with how often it was noticed in between."""
    found = Told(quality()).tell(*levels([0.5] * 13))
    assert [(alert.time - START, alert.suppressed) for alert in found] == [(0, 0), (6 * HOUR, 5), (12 * HOUR, 5)]
    assert {alert.incident for alert in found} == {found[0].id}


def test_what_flutters_is_told_once_a_cooldown() -> None:
    """Above and below the floor every hour: raised, resolved, and then silence until the cooldown is over."""
    found = Told(quality()).tell(*levels([0.5, 0.9] * 4))
    assert [(alert.status, (alert.time - START) // HOUR) for alert in found] == [
        ("raised", 0),
        ("resolved", 1),
        ("raised", 6),
        ("resolved", 7),
    ]


def test_what_must_last_is_told_when_it_has_lasted() -> None:
    """A dip that is shorter says nothing, not even that it is over."""
    told = Told(quality(lasting="2h"))
    assert told.tell(*levels([0.5, 0.5, 0.9])) == []
    assert [(alert.time - START) // HOUR for alert in told.tell(*levels([0.5] * 4, START + 10 * HOUR))] == [12]


def test_an_acknowledged_incident_is_not_told_again_until_it_is_over() -> None:
    """Who acknowledged it is told, once; what comes back after it was over is new."""
    told = Told(quality(escalate_after="1h"))
    (first,) = told.tell(evaluation(0.5, START))
    (noted,) = told.tell(command("acknowledge", alert=first.id, note="known"))
    assert (noted.status, noted.author, noted.note, noted.incident) == ("acknowledged", "ada", "known", first.id)
    assert told.tell(command("acknowledge", "c-2", alert=first.id)) == []
    assert told.tell(*levels([0.5] * 30, START + HOUR)) == []
    assert statuses(told.tell(*levels([0.9] + [0.5] * 8, START + 31 * HOUR)))[:2] == ["resolved", "raised"]


def test_a_command_that_comes_twice_counts_once_and_a_wrong_one_is_told() -> None:
    """Idempotent by id; an unknown alert, action or name is trouble for the log, and changes nothing."""
    told = Told(quality())
    (first,) = told.tell(evaluation(0.5, START))
    assert len(told.tell(command("acknowledge", alert=first.id))) == 1
    assert told.step(command("acknowledge", alert=first.id)).troubles == ()
    for wrong in (command("acknowledge", "c-3", alert="nonsense"), command("dance", "c-4")):
        step = told.step(wrong)
        assert step.alerts == ()
        assert step.troubles


def test_a_command_that_is_told_again_later_is_not_carried_out_again() -> None:
    """Subscribed, unsubscribed, and then the first command once more: it stays as the person last wanted it."""
    told = Told(quality())
    subscribe = command("subscribe", "c-1", subscription="me", channel="apprise", secret="MINE")
    told.tell(subscribe, command("unsubscribe", "c-2", subscription="me"), subscribe)
    assert told.core.subscriptions.all() == ()


def test_what_happened_and_was_acknowledged_may_happen_anew() -> None:
    """Within its cooldown a finding is the same matter; after it, it is another incident, to be acknowledged anew."""
    told = Told(DriftRule(name="d", cooldown="6h"))
    (first,) = told.tell(finding("f", START))
    told.tell(command("acknowledge", alert=first.id))
    assert told.tell(finding("f", START + 5 * HOUR)) == []
    (second,) = told.tell(finding("f", START + 6 * HOUR))
    assert (second.status, second.author, second.incident) == ("raised", "", second.id)


def test_what_passed_can_be_acknowledged_later() -> None:
    """A finding does not end. Long after its cooldown, and after another of its kind, somebody may look at it."""
    told = Told(DriftRule(name="d", cooldown="6h", escalate_after="1h"))
    (first,) = told.tell(finding("f", START))
    escalated = told.tell(*levels([0.9] * 3, START + 30 * DAY, DAY))
    assert statuses(escalated) == ["escalated"] * 3
    (other,) = told.tell(evaluation(0.9, START + 60 * DAY), finding("f", START + 61 * DAY))
    assert (other.status, other.incident, other.severity) == ("raised", other.id, "warning")
    (noted,) = told.tell(command("acknowledge", alert=escalated[-1].id, note="seen"))
    assert (noted.status, noted.incident, noted.subject) == ("acknowledged", first.id, first.subject)
    assert (noted.author, noted.note, noted.severity, noted.level) == ("ada", "seen", "critical", 3)
    assert told.step(command("acknowledge", "c-2", alert=first.id)).troubles
    assert statuses(told.tell(command("acknowledge", "c-3", alert=other.id))) == ["acknowledged"]


def test_only_so_many_that_passed_are_remembered() -> None:
    """Else the state would grow with every finding that nobody looks at: the oldest are forgotten, and not open."""
    told = Told(DriftRule(name="d", cooldown="1h", burst=MOST_PASSED * 2))
    found = told.tell(*(finding(f"f{number}", START) for number in reversed(range(MOST_PASSED + 2))))
    told.tell(evaluation(0.9, START + DAY))
    assert list(open_incidents(found)) == [alert.id for alert in found[2:]]
    answers = [told.step(command("acknowledge", f"c-{n}", alert=each.id)) for n, each in enumerate(found[:4])]
    assert [len(answer.alerts) for answer in answers] == [0, 0, 1, 1]
    assert len(told.core.incidents.open()) == MOST_PASSED - 2


def test_what_nobody_acknowledges_is_escalated_thrice() -> None:
    """Each time one step more severe, up to critical, and at its interval of the clock."""
    told = Told(quality(severity="info", escalate_after="10m"))
    told.tell(evaluation(0.5, START))
    found = told.pass_time(3_600)
    assert [(alert.status, alert.level, alert.severity) for alert in found] == [
        ("escalated", 1, "warning"),
        ("escalated", 2, "critical"),
        ("escalated", 3, "critical"),
    ]
    assert [(alert.time - START) // 60_000 for alert in found] == [10, 20, 30]


def test_what_is_over_is_not_escalated() -> None:
    """Nor what happened and passed, once it was acknowledged."""
    told = Told(quality(escalate_after="10m"), ChampionRule(name="c", escalate_after="10m"))
    told.tell(evaluation(0.5, START))
    told.tell(evaluation(0.9, START + 1))
    (change,) = told.tell(alias("other"))
    told.tell(command("acknowledge", alert=change.id))
    assert told.pass_time(3_600) == []


def test_what_comes_back_is_as_severe_as_its_rule_says() -> None:
    """Escalated, over, and bad again within the cooldown: told after it as any other, not as what nobody looked at."""
    told = Told(quality(escalate_after="10m"))
    told.tell(evaluation(0.5, START))
    assert [alert.severity for alert in told.pass_time(700)] == ["critical"]
    found = told.tell(*levels([0.9] + [0.5] * 5, START + HOUR))
    assert [(alert.status, alert.severity, alert.level) for alert in found] == [
        ("resolved", "critical", 1),
        ("raised", "warning", 0),
    ]


def test_a_noisy_rule_tells_the_rest_in_a_digest() -> None:
    """Two at once, then silence until the day is over, then one summary; the next day begins anew."""
    told = Told(DriftRule(name="d", burst=2, digest="1d", cooldown="1h"))
    found = told.tell(*(finding(f"f{number}", START + number) for number in range(6)))
    assert [alert.subject for alert in found] == ["input f0", "input f1"]
    told.tell(finding("f5", START + 2 * HOUR, severity="critical"))
    (digest,) = told.tell(evaluation(0.9, START + DAY + 1))
    assert (digest.status, digest.suppressed, digest.severity) == ("digest", 5, "critical")
    assert "input f5 (2)" in digest.text
    assert statuses(told.tell(finding("f9", START + DAY + 2))) == ["raised"]


def test_a_period_passes_by_the_times_of_what_is_told() -> None:
    """Findings that are read long after another topic, whose times are far ahead, are restrained as they would have
    been live: day by day, each day's rest in a digest of that day.
    """
    told = Told(DriftRule(name="d", burst=2, digest="1d", cooldown="1h"))
    told.tell(evaluation(0.9, START + 300 * DAY))
    seldom = told.tell(*(finding(f"f{number}", START + number * DAY) for number in range(25)))
    assert statuses(seldom) == ["raised"] * 25
    often = told.tell(*(finding(f"g{number}", START + 30 * DAY + number) for number in range(5)))
    assert statuses(often) == ["raised"] * 2
    digest, after = told.tell(finding("h", START + 31 * DAY + 1))
    assert (digest.status, digest.suppressed, digest.time) == ("digest", 3, START + 31 * DAY + 1)
    assert (after.status, after.subject) == ("raised", "input h")


def test_segments_have_digests_of_their_own() -> None:
    """A noisy carrier does not silence another."""
    told = Told(DriftRule(name="d", burst=1, digest="1d"))
    found = told.tell(*(finding(f"f{n}", START, segment=f"carrier={who}") for n in range(3) for who in ("UA", "AA")))
    assert [alert.segment["carrier"] for alert in found] == ["UA", "AA"]
    digests = told.tell(evaluation(0.9, START + DAY + 1))
    assert sorted(alert.segment["carrier"] for alert in digests) == ["AA", "UA"]


def test_alerts_are_made_out_to_the_subscriptions_that_they_fit() -> None:
    """By severity, segment and rule; subscribing and unsubscribing count from the next alert on."""
    told = Told(
        DriftRule(name="d", cooldown="1ms"),
        Route(name="all", secret="A", url="https://a.example/"),
        Route(name="bad", secret="A", url="https://a.example/", min_severity="critical"),
        Route(name="ua", secret="A", url="https://a.example/", segments=["carrier=UA"]),
        Route(name="not-d", secret="A", url="https://a.example/", rules=["x"]),
    )
    (plain,) = told.tell(finding("f", START))
    assert plain.subscriptions == ("all",)
    (bad,) = told.tell(finding("f", START + 1, severity="critical", segment="carrier=UA"))
    assert bad.subscriptions == ("all", "bad", "ua")
    told.tell(command("subscribe", subscription="me", channel="apprise", secret="MINE"))
    assert told.tell(finding("g", START + 2))[0].subscriptions == ("all", "me")
    told.tell(command("unsubscribe", "c-2", subscription="me"))
    assert told.tell(finding("h", START + 3))[0].subscriptions == ("all",)


def test_wrong_subscriptions_are_refused() -> None:
    """A subscription that could not be delivered to, or that is the pipeline file's, is trouble for the log."""
    told = Told(quality(), Route(name="fixed", secret="A", url="https://a.example/"))
    right: dict[str, object] = {"subscription": "me", "channel": "webhook", "secret": "A", "url": "https://b.example/"}
    wrongs: list[dict[str, object]] = [
        {"subscription": "fixed"},
        {"subscription": "no good"},
        {"channel": "pigeon"},
        {"secret": "lower"},
        {"url": "ftp://b.example/"},
        {"url": "https://ada:pass@b.example/"},
        {"url": "https://[b.example/"},
        {"url": "https://b.example:65536/"},
        {"url": "https://b.example:0/"},
        {"min_severity": "dire"},
        {"segments": ("UA",)},
        {"channel": "apprise"},
    ]
    for number, wrong in enumerate(wrongs):
        assert told.step(command("subscribe", f"c-{number}", **{**right, **wrong})).troubles, wrong
    assert [each.name for each in told.core.subscriptions.all()] == ["fixed"]
    for number, port in enumerate((1, 8443, 65535)):
        fine = {**right, "url": f"https://b.example:{port}/"}
        assert told.step(command("subscribe", f"right-{number}", **fine)).troubles == ()


RULES = (
    quality(cooldown="2h", lasting="1h", escalate_after="3h", burst=3),
    DriftRule(name="d", cooldown="2h", burst=2, digest="6h", escalate_after="4h"),
    ChampionRule(name="c", cooldown="1h"),
    DeadLetterRule(name="l", share=0.2, over="2h", least=3, cooldown="2h"),
    SilenceRule(name="s", stream="asked", over="3h", cooldown="4h"),
)

times = st.integers(0, 48).map(lambda quarter: START + quarter * HOUR // 4)
facts: st.SearchStrategy[Fact | None] = st.one_of(
    st.none(),
    st.builds(evaluation, st.sampled_from([0.5, 0.9]), times),
    st.builds(alias, st.sampled_from(["line", "other"])),
    st.builds(finding, st.sampled_from(["f", "g"]), times),
    st.builds(
        lambda at, dead, asked: intake(at, {"accepted": 10, "dead_letters": dead, "dead:rule": dead}, asked),
        times,
        st.integers(0, 20),
        st.integers(0, 5),
    ),
    st.builds(
        lambda n: command("subscribe", f"s-{n}", subscription="me", channel="apprise", secret="M"), st.integers(0, 3)
    ),
)


def test_a_state_of_before_is_read() -> None:
    """One that knows nothing of what passed, nor in which order incidents were told."""
    told = Told(*RULES)
    (first,) = told.tell(finding("f", START))
    state = orjson.loads(orjson.dumps(told.core.state()))
    del state["cooldowns"]["passed"]
    for row in state["cooldowns"]["incidents"]:
        del row["order"]
    told.core.restore(told.core.position, state)
    (second,) = told.tell(finding("g", START))
    assert [each.id for each in told.core.incidents.open()] == [first.id, second.id]


actions = st.one_of(facts, facts, facts, st.integers(0, 40))
"""A fact; or the number of the alert, of those told so far, that somebody acknowledges."""


def play(told: Told, actions: Sequence[Fact | int | None]) -> list[Alert]:
    """Let all of it happen; return the alerts."""
    found: list[Alert] = []
    for number, action in enumerate(actions):
        if isinstance(action, int):
            alert = found[action % len(found)].id if found else "none"
            found += told.tell(command("acknowledge", f"a-{number}", alert=alert))
        else:
            found += told.tell(action)
    return found


@given(st.lists(actions, max_size=40), st.integers(0, 40))
def test_a_restored_core_goes_on_as_if_nothing_had_been(actions: list[Fact | int | None], cut: int) -> None:
    """State, written as JSON and read back at any point, with signals told again, gives the very same alerts."""
    told = Told(*RULES)
    whole = play(told, actions)
    first = AlertsCore(pipeline_of(*RULES))
    found = [alert for each in told.signals[:cut] for alert in first.step(each).alerts]
    second = AlertsCore(pipeline_of(*RULES))
    second.restore(first.position, orjson.loads(orjson.dumps(first.state())))
    found += [alert for each in told.signals for alert in second.step(each).alerts]
    assert found == whole


@given(st.lists(actions, max_size=40), st.integers(0, 40))
def test_a_state_is_of_one_moment(actions: list[Fact | int | None], cut: int) -> None:
    """A state that was given away stays as it was when the core goes on: Faust writes it down some time later."""
    told = Told(*RULES)
    play(told, actions)
    core = AlertsCore(pipeline_of(*RULES))
    for each in told.signals[:cut]:
        core.step(each)
    state = core.state()
    written = orjson.dumps(state)
    for each in told.signals[cut:]:
        core.step(each)
    assert orjson.dumps(state) == written


@given(st.lists(actions, max_size=60))
def test_the_alerts_tell_what_is_open(actions: list[Fact | int | None]) -> None:
    """Who reads the topic finds the very incidents that can be acknowledged, in the same order; and they can be."""
    told = Told(*RULES)
    last = open_incidents(play(told, actions))
    assert [each.id for each in told.core.incidents.open() if each.momentary] == [
        incident for incident, alert in last.items() if alert.kind in MOMENTARY
    ]
    assert {each.id for each in told.core.incidents.open()} == set(last)
    for incident, alert in last.items():
        answer = told.tell(command("acknowledge", f"late-{incident}", alert=alert.id))
        # Time goes on with every command, and others may be escalated.
        own = [each for each in answer if each.incident == incident]
        assert statuses(own) == ["acknowledged"] * (alert.status != "acknowledged")


@given(st.lists(facts, max_size=60))
def test_laws_of_all_alerts(facts: list[Fact | None]) -> None:
    """Ids are unique; an incident begins by being raised; it is not raised twice within its cooldown."""
    told = Told(*RULES)
    found = told.tell(*facts)
    assert len({alert.id for alert in found}) == len(found)
    cooldowns = {rule.name: rule.cooldown_ms for rule in RULES}
    raised: dict[tuple[str, str], Alert] = {}
    begun: set[str] = set()
    for alert in found:
        if alert.status == "digest":
            continue
        if alert.status == "raised":
            before = raised.get((alert.rule, alert.subject))
            assert before is None or alert.time - before.time >= cooldowns[alert.rule]
            raised[alert.rule, alert.subject] = alert
            begun.add(alert.incident)
        assert alert.incident in begun
