"""The audit passes what the real worker wrote."""

from __future__ import annotations

from riverrun.audit.report import Check
from riverrun.records.topics import Kind
from tests.audit.worlds import World


def _broken(checks: list[Check]) -> list[str]:
    return [f"{check.name}: {check.first}" for check in checks if not check.passed]


def _counted(checks: list[Check]) -> dict[str, int]:
    return {check.name: check.counted for check in checks}


def test_audit_passes_a_real_run(shop: World) -> None:
    """Every check passes, and none of them for want of anything to compare."""
    checks = shop.audit()
    assert _broken(checks) == []
    assert all(check.counted for check in checks), _counted(checks)


def test_audit_passes_a_run_on_several_partitions(chain_of_shops: World) -> None:
    """With three partitions vectors have read other partitions' partials, and are made again all the same."""
    checks = chain_of_shops.audit()
    assert _broken(checks) == []
    # So few examples bring no evaluation.
    assert {name for name, count in _counted(checks).items() if not count} <= {"evaluations are numbered without holes"}
    vectors = [chain_of_shops.item(each) for part in range(3) for each in chain_of_shops.records(Kind.VECTORS, part)]
    assert sum(len(vector.reads) for vector in vectors) > 0
