"""The report tells how often each kind struck, what is put down to it, and how long it took to go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos.act import Outcome
from chaos.findings import Finding, Sort, Strike, blame
from chaos.overload import Overload
from chaos.report import Report

_STRIKES = [
    Strike("kill.score", 1_000, 1_010, 2.0, 2.01),
    Strike("redis.killed", 5_000, 8_000, 0.5, 3.5),
    Strike("kill.learn", 6_000, 6_010, 4.0, 4.01),
]


def _kinds(at: int | None, event: str = "") -> set[str]:
    return blame(Finding(Sort.LOST, "", at, event), _STRIKES, {"late": ("load.out-of-order",)})


def test_what_is_wrong_is_put_down_to_what_struck_last() -> None:
    """To all that lasted then, and to what the load did wrong with that event; without a moment, to everything."""
    assert _kinds(500) == set()
    assert _kinds(2_000) == {"kill.score"}
    assert _kinds(5_500) == {"redis.killed"}
    assert _kinds(7_000) == {"redis.killed", "kill.learn"}
    assert _kinds(9_000) == {"kill.learn"}
    assert _kinds(2_000, "late") == {"kill.score", "load.out-of-order"}
    assert _kinds(None) == {"kill.score", "redis.killed", "kill.learn"}


def test_of_several_that_struck_together_each_is_blamed() -> None:
    """Nobody can tell which of them it was."""
    together = [Strike(f"kill.{stage}", 1_000, 1_200, 2.0, 2.2) for stage in ("ingest", "score", "learn")]
    found = blame(Finding(Sort.LOST, "", 3_000), [_STRIKES[0], *together], {})
    assert found == {"kill.ingest", "kill.score", "kill.learn"}


def test_the_file_tells_everything(tmp_path: Path) -> None:
    """Counts and percentiles by kind, what the load did, the planted bugs, and what is wrong in words."""
    report = Report(tmp_path / "chaos.json", 7, "short")
    outcome = Outcome("apart", 7_001, strikes=list(_STRIKES), made={"load.duplicate": 12}, published=100)
    outcome.findings = [Finding(Sort.DOUBLED, "a thing came twice", 2_000), Finding(Sort.WRONG, "undisturbed", 10)]
    report.add(outcome)
    under = Outcome("overload", 7, findings=[Finding(Sort.REORDERED, "two things", 2_000)])
    report.add(under, Overload(100.0, 200.0, 1_500, 1_400, said=True, caught_up_s=15.0))
    report.planted = {"a_bug": True, "another": False}
    report.write()
    document = json.loads((tmp_path / "chaos.json").read_text(encoding="utf-8"))
    assert document["seed"] == 7
    assert document["total"] == {"injected": 3, "lost": 0, "doubled": 1, "reordered": 1, "wrong": 1}
    faults = document["faults"]
    killed = faults["kill.score"]
    assert killed["recovery_s"] == {"p50": 2.0, "p95": 2.0}
    assert [killed[name] for name in ("injected", "lost", "doubled", "reordered", "wrong")] == [1, 0, 1, 0, 0]
    assert faults["load.duplicate"]["injected"] == 12
    assert faults["overload"]["reordered"] == 1
    assert faults["none"]["wrong"] == 1
    assert document["recovery_s"] == {"p50": 2.0, "p95": 4.0}
    assert document["planted_bugs"] == {"a_bug": True, "another": False}
    assert document["overload"]["most_lag"] == 1_500
    assert len(document["wrong"]) == report.wrong == 3
    assert report.struck() == {"kill.score", "redis.killed", "kill.learn"}


def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """The file of a run in two parts is that of a run in one."""
    outcomes = [
        Outcome("apart", 7_001, strikes=_STRIKES[:2], made={"load.duplicate": 12}, memory_mb={"learn": 140.0}),
        Outcome("chained", 7_002, strikes=_STRIKES[2:], made={"load.duplicate": 3}, memory_mb={"chain": 120.0}),
    ]
    outcomes[0].findings = [Finding(Sort.DOUBLED, "a thing came twice", 2_000)]
    whole, parts = tmp_path / "whole.json", tmp_path / "parts.json"
    report = Report(whole, 7, "long")
    for outcome in outcomes:
        report.add(outcome)
    first = Report(parts, 7, "long")
    first.add(outcomes[0])
    first.keep()
    second = Report(parts, 7, "long")
    assert second.resume() == 1
    second.add(outcomes[1])
    assert json.loads(parts.read_text("utf-8")) == json.loads(whole.read_text("utf-8"))
    assert json.loads(parts.read_text("utf-8"))["most_memory_mb"] == 140.0
    for other in (Report(parts, 8, "long"), Report(parts, 7, "long", "another plan")):
        with pytest.raises(ValueError, match="was of"):
            other.resume()
    second.forget()
    with pytest.raises(FileNotFoundError):
        Report(parts, 7, "long").resume()


def test_what_takes_too_long_to_recover_from_is_told(tmp_path: Path) -> None:
    """By kind where it struck often, so that none hides behind the many others; one outlier of twenty is borne with."""
    report = Report(tmp_path / "chaos.json", 7, "long")
    quick = [Strike("kill.score", 1_000, 1_010, 2.0, 2.01)] * 500
    outlier = [Strike("zombie", 1_000, 1_010, seconds, seconds) for seconds in (*[3.0] * 19, 30.0)]
    slow = [Strike("redis.killed", 1_000, 1_010, 5.1, 5.2)] * 20
    seldom = [Strike("stages.moved", 1_000, 1_010, 60.0, 60.0)] * 3
    report.add(Outcome("apart", 7_001, strikes=[*quick, *outlier, *slow, *seldom]))
    assert report.slow == {"redis.killed": 5.1}
    document = json.loads((tmp_path / "chaos.json").read_text(encoding="utf-8"))
    assert document["too_slow"] == {"redis.killed": 5.1}


def test_zombies_that_never_tried_to_go_on_show_nothing(tmp_path: Path) -> None:
    """Of many, some must have found themselves shut out; a few may have had nothing in hand."""
    report = Report(tmp_path / "chaos.json", 7, "long")
    few, many = ([Strike("zombie", 1_000, 1_010, 0.1, 7.0)] * count for count in (3, 20))
    told = []
    for seed, outcome in enumerate((few, many)):
        report.add(Outcome("members", 7_001 + seed, strikes=outcome))
        told.append(report.unfenced)
    report.add(Outcome("members", 7_003, strikes=many, fenced=1))
    assert [*told, report.unfenced] == [False, True, False]
