"""The product's own auditor, ``riverrun verify``, called on a world: the tests' judge and it must agree."""

from __future__ import annotations

from riverrun.audit.reading import KafkaLog
from riverrun.audit.stored import RedisEntries
from riverrun.audit.subject import Subject
from riverrun.audit.verify import audit_here
from tests.faults.world import World

__all__ = ["audit"]


def audit(world: World) -> None:
    """Check every promise, as ``riverrun verify`` does.

    Raises
    ------
    AssertionError
        Naming the first record that breaks one.
    """
    deployment, addresses = world.deployment, world.cluster.addresses
    subject = Subject(
        pipeline=world.pipeline,
        codecs=deployment.wire.codecs,
        schema_of=deployment.ids.schema_of,
        log=KafkaLog(dict(addresses.kafka)),
        partials=RedisEntries(addresses.redis_url, world.pipeline.name),
        partitions=world.plan.partitions,
    )
    broken = [f"{check.name}: {check.first}" for check in audit_here(subject, _untold) if not check.passed]
    assert not broken, "\n".join(broken)


def _untold(count: int) -> None:
    """Take no notice of how many records were read."""
