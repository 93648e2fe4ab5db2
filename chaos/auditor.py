"""The product's own auditor, ``riverrun verify``, called on a world: the harness's judge and it must agree."""

from __future__ import annotations

from chaos.findings import Finding, Sort
from chaos.world import World
from riverrun.audit.reading import KafkaLog
from riverrun.audit.stored import RedisEntries
from riverrun.audit.subject import Subject
from riverrun.audit.verify import audit_here

__all__ = ["audit"]


def audit(world: World) -> list[Finding]:
    """Check every promise, as ``riverrun verify`` does; Redis against the log (I4) above all."""
    deployment, addresses = world.deployment, world.addresses
    subject = Subject(
        pipeline=world.pipeline,
        codecs=deployment.wire.codecs,
        schema_of=deployment.ids.schema_of,
        # Brokers die here on purpose: what the client has to say of it is no news.
        log=KafkaLog({**addresses.kafka, "log_level": "0"}),
        partials=RedisEntries(addresses.redis_url, world.pipeline.name),
        partitions=world.plan.partitions,
    )
    return [
        Finding(Sort.WRONG, f"riverrun verify: {check.name}: {check.first}")
        for check in audit_here(subject, _untold)
        if not check.passed
    ]


def _untold(count: int) -> None:
    """Take no notice of how many records were read."""
