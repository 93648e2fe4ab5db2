"""Findings of drift are held against an undisturbed fold: right ones pass, and whatever is made wrong is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from chaos.calm_drift import drift_findings
from chaos.evidence import Evidence, gather
from chaos.findings import Sort
from chaos.parcels import DISORDER, ParcelLoad
from chaos.services import DRIFT_STAGES, STAGES
from chaos.world import Plan, World
from riverrun.embedded import EmbeddedCluster
from riverrun.records.topics import Kind

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def watched(cluster: EmbeddedCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    """What a chain with both stages of drift has left."""
    plan = Plan("watched", ParcelLoad(5, DISORDER))
    with World(plan, cluster.addresses, tmp_path_factory.mktemp("watched")) as world:
        world.publish(2_500)
        chain = world.chain("chain", (*STAGES, *DRIFT_STAGES))
        world.wait("the first commit of drift", lambda: len(world.watch.drift_stages()) == 2)
        world.drain(chain)
        world.rest()
        yield gather(world)


def test_what_nobody_disturbed_is_right(watched: Evidence) -> None:
    """The seasons of the load are found."""
    assert list(drift_findings(watched)) == []
    assert watched.rows[Kind.DRIFT]


def _lose(evidence: Evidence) -> None:
    del evidence.rows[Kind.DRIFT][-1]


def _double(evidence: Evidence) -> None:
    evidence.rows[Kind.DRIFT].append(evidence.rows[Kind.DRIFT][-1])


def _change(evidence: Evidence) -> None:
    row = evidence.rows[Kind.DRIFT][0]
    evidence.rows[Kind.DRIFT][0] = row._replace(item=replace(row.item, since_offset=row.item.since_offset + 1))


def _none(evidence: Evidence) -> None:
    evidence.rows[Kind.DRIFT].clear()


def _one_example_more(evidence: Evidence) -> None:
    """What the service folded was one example less than there is: no finding tells yet."""
    evidence.rows[Kind.EXAMPLES].append(evidence.rows[Kind.EXAMPLES][-1])


@pytest.mark.parametrize(
    ("tamper", "sort"),
    [
        (_lose, Sort.LOST),
        (_double, Sort.DOUBLED),
        (_change, Sort.WRONG),
        (_none, Sort.LOST),
        (_one_example_more, Sort.WRONG),
    ],
)
def test_what_is_made_wrong_is_found(watched: Evidence, tamper: Callable[[Evidence], None], sort: Sort) -> None:
    """Of its sort; the state that the service ends with is compared too."""
    evidence = replace(watched, rows={kind: list(rows) for kind, rows in watched.rows.items()})
    tamper(evidence)
    found = list(drift_findings(evidence))
    assert sort in {finding.sort for finding in found}
    if tamper is _one_example_more:
        assert any("another state" in finding.text for finding in found)
