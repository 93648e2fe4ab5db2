"""The product's own auditor, ``riverrun verify``, called on a world: the harness's judge and it must agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from chaos.findings import Finding, Sort
from chaos.world import World
from riverrun.audit.reading import KafkaLog
from riverrun.audit.report import Check
from riverrun.audit.stored import RedisEntries
from riverrun.audit.subject import Subject
from riverrun.audit.verify import audit_here

__all__ = ["audit"]

_STORED: Final = "Redis holds what the events amount to"


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
    checks = audit_here(subject, _untold)
    return [Finding(Sort.WRONG, f"riverrun verify: {text}") for text in (*_faults(checks), *_unchecked(checks))]


def _faults(checks: Sequence[Check]) -> Iterator[str]:
    for check in checks:
        if check.faults:
            yield f"{check.name}: {check.first}"


def _unchecked(checks: Sequence[Check]) -> Iterator[str]:
    """Yield why Redis was not compared: the auditor bears with one that is being written anew, here nobody writes."""
    stored = [check for check in checks if check.name == _STORED]
    if not stored:
        yield f"it does not check that {_STORED}"
    for check in stored:
        if check.note or not check.counted:
            yield f"{check.name}: {check.note or 'nothing is stored'}"


def _untold(count: int) -> None:
    """Take no notice of how many records were read."""
