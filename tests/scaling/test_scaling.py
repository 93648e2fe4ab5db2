"""The page on scaling says what the simulation says, and the simulation is what queues are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.scaling.__main__ import main
from benchmarks.scaling.costs import Costs, read_costs
from benchmarks.scaling.page import PAGE, page
from benchmarks.scaling.simulation import Deployment, simulate
from benchmarks.scaling.sizing import BUSY, Prices, priced, smallest

COSTS = read_costs()
ROOMY = Deployment(rate=20_000, workers=16, redis=4, learners=8, brokers=6)


def test_the_page_is_what_the_simulation_gives() -> None:
    """Every number of ``docs/scaling.md`` comes out again from the kept costs: nobody has edited it by hand."""
    assert PAGE.read_text(encoding="utf-8") == page(COSTS, Prices())


def test_servers_are_as_busy_as_their_work_says() -> None:
    """Where nothing queues for long, each kind is busy for rate x cost / servers, as queueing theory has it."""
    came = simulate(COSTS, ROOMY)
    of = ROOMY
    mb = of.rate * (COSTS.bytes_in + COSTS.bytes_out) * of.replicas / 1e6
    assert came.keeps_up
    assert came.busy["worker"] == pytest.approx(of.rate * COSTS.event_us * 1e-6 / of.workers, rel=0.25)
    assert came.busy["learner"] == pytest.approx(
        of.rate * COSTS.examples * COSTS.example_us * 1e-6 / of.learners, rel=0.25
    )
    assert came.busy["broker"] == pytest.approx(mb / of.broker_mb_s / of.brokers, rel=0.35)


@pytest.mark.parametrize(
    ("deployment", "late"),
    [
        (replace(ROOMY, workers=2), "worker"),
        (replace(ROOMY, learners=1, rate=40_000.0), "learner"),
        (replace(ROOMY, brokers=1, broker_mb_s=15.0), "broker"),
        (replace(ROOMY, hot=0.5), "worker"),
    ],
    ids=["few workers", "one learner", "slow broker", "hot key"],
)
def test_what_is_too_little_falls_behind(deployment: Deployment, late: str) -> None:
    """The server that has more to do than time falls behind, and is found busy all the time."""
    came = simulate(COSTS, deployment)
    assert not came.keeps_up
    assert came.behind[late] > 0.02
    assert came.busy[late] > 0.95


def test_reads_of_redis_grow_with_the_square() -> None:
    """Where entities are spread, twice the load on twice the workers asks about four times as much of Redis."""
    small = Deployment(rate=6_000, workers=16, redis=1, learners=16, brokers=6, spread=True)
    large = replace(small, rate=12_000, workers=32, learners=32, brokers=12)
    reads = [simulate(COSTS, each).busy["Redis"] for each in (small, large)]
    quiet = [simulate(COSTS, replace(each, spread=False)).busy["Redis"] for each in (small, large)]
    assert 3.0 < (reads[1] - quiet[1]) / (reads[0] - quiet[0]) < 5.5


def test_a_deployment_gives_the_same_figures_every_time() -> None:
    """All that is random is seeded."""
    assert simulate(COSTS, ROOMY) == simulate(COSTS, ROOMY)


def test_latency_is_at_least_a_commit_and_grows_with_load() -> None:
    """Idle, an event waits for a turn and a commit; near saturation for whole batches before it."""
    idle = simulate(COSTS, replace(ROOMY, rate=1_000))
    full = simulate(COSTS, replace(ROOMY, rate=16 * 0.93 * 1e6 / COSTS.event_us, learners=60, brokers=30))
    assert 8.0 < idle.p50_ms < 60.0
    assert full.p99_ms > 2 * idle.p99_ms
    assert idle.p50_ms <= idle.p99_ms


def test_merging_does_not_get_less_by_more_workers() -> None:
    """Each worker merges as much however many there are, where entities are spread: beyond some load no size does."""
    load = replace(ROOMY, rate=20_000.0, spread=True, redis=50, brokers=50)
    few, many = (simulate(COSTS, replace(load, workers=workers)).busy["worker"] for workers in (40, 80))
    assert many > 0.6 * few
    with pytest.raises(ValueError, match="no number of servers"):
        smallest(COSTS, replace(load, rate=1_000_000.0), Prices())


@pytest.mark.parametrize(("rate", "spread"), [(50_000.0, False), (20_000.0, True)])
def test_the_size_found_is_enough_and_not_far_too_much(rate: float, spread: bool) -> None:
    """Nothing is busier than it may be, and half as much of anything would be too little."""
    sized = smallest(COSTS, replace(ROOMY, rate=rate, spread=spread), Prices())
    assert max(sized.outcome.busy.values()) <= BUSY
    found = sized.deployment
    for less in (replace(found, workers=found.workers // 2), replace(found, learners=found.learners // 2)):
        assert max(simulate(COSTS, less).busy.values()) > BUSY


def test_money_follows_the_prices() -> None:
    """Twice the price of a core costs as much more as all cores cost; nothing else changes."""
    came = simulate(COSTS, ROOMY)
    one, two = (priced(COSTS, ROOMY, came, Prices(core_hour=price)) for price in (0.05, 0.10))
    assert two.euro_month - one.euro_month == pytest.approx(one.cores * 0.05 * 730)
    assert (one.cores, one.disk_gb) == (16 + 4 + 8 + 6 * 8, two.disk_gb)


def test_other_prices_and_rates_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """With a rate or a price the program prints the sizes, and leaves the page alone."""
    before = PAGE.read_bytes()
    assert main(["--rate", "10000", "--core-hour", "0.09"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines] == ["events/s", "---:", "10,000", "10,000"]
    assert PAGE.read_bytes() == before


def test_costs_that_make_no_sense_are_not_kept() -> None:
    """What is kept was measured: all times and sizes are positive, and a chain costs less than its stages apart."""
    assert isinstance(COSTS, Costs)
    assert all(value > 0 for value in (COSTS.ingest_us, COSTS.features_us, COSTS.score_us, COSTS.labels_us))
    assert COSTS.chain_us < COSTS.ingest_us + COSTS.features_us + COSTS.score_us + COSTS.labels_us < COSTS.servers_us
    assert 0 < COSTS.examples <= COSTS.predictions < 1
