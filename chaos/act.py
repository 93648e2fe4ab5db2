"""One act of the run: a scene is set, faults strike it, it comes to rest, and the judge has his say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from subprocess import TimeoutExpired
from typing import Final

from confluent_kafka import KafkaException
from redis import RedisError

from chaos.auditor import audit
from chaos.calling import calls_kept
from chaos.calm import differences
from chaos.calm_drift import drift_findings
from chaos.epochs import fenced_writes
from chaos.evidence import gather
from chaos.findings import Finding, Sort, Strike
from chaos.judge import judge
from chaos.layouts import Layout, Setting
from chaos.open_transactions import open_transactions
from chaos.scene import Kind, Scene
from chaos.strike import strike
from chaos.telling import alerts_told
from riverrun.errors import RiverrunError
from riverrun.runtime.degradations import Degradation

__all__ = ["Act", "Outcome", "conclude", "play", "unbounded"]

_GAP_S: Final = (0.1, 0.7)
_MOST_MEMORY_MB: Final = 256.0
"""What a process may have; none had more than 217 when all was well."""
_BROKEN_OFF: Final = (AssertionError, RiverrunError, OSError, TimeoutExpired, LookupError, KafkaException, RedisError)


@dataclass(frozen=True, slots=True)
class Act:
    """What is to happen.

    Parameters
    ----------
    layout
        Of its scene.
    faults
        In their order; kinds in one tuple strike at the same time.
    """

    layout: Layout
    faults: tuple[tuple[Kind, ...], ...]


@dataclass(slots=True)
class Outcome:
    """What happened.

    Parameters
    ----------
    layout
        The act's.
    seed
        The setting's.
    strikes
        The faults.
    findings
        What is wrong, by the judge, the auditor, the watchers and the faults' own checks.
    oddities
        What the load did wrong, by event.
    made
        How many messages had each oddity.
    published, predictions, looks
        How many messages were sent, predictions seen as they came, and times that Redis was looked at meanwhile.
    restarted, memory_mb
        As of the world.
    fenced
        How often a service found itself shut out by another.
    """

    layout: str
    seed: int
    strikes: list[Strike] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    oddities: dict[str, tuple[str, ...]] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    published: int = 0
    predictions: int = 0
    looks: int = 0
    restarted: dict[str, int] = field(default_factory=dict)
    memory_mb: dict[str, float] = field(default_factory=dict)
    fenced: int = 0


def play(act: Act, setting: Setting, tell: Callable[[str], None]) -> Outcome:
    """Play an act; that it does not come to rest, or breaks off, is a finding like others."""
    strikes: list[Strike] = []
    try:
        with act.layout.stage(setting) as scene:
            for kinds in act.faults:
                strikes += strike(scene, kinds, tell)
                scene.world.let(scene.rng.uniform(*_GAP_S))
            outcome = conclude(act.layout, scene, setting)
    except _BROKEN_OFF as error:
        outcome = Outcome(act.layout.name, setting.seed)
        outcome.findings.append(Finding(Sort.WRONG, f"broken off: {error!r}"))
        tell(f"BROKEN OFF: {str(error)[:2_000]}")
    outcome.strikes = strikes
    tell(f"judged: {outcome.published} messages, {len(outcome.findings)} things wrong")
    return outcome


def conclude(layout: Layout, scene: Scene, setting: Setting) -> Outcome:
    """Stop what runs, as an operator does, let a last chain fold the rest, and judge what is left."""
    world = scene.world
    # Everything is mended, and all say so; a backlog may still be worked off.
    mended = {Degradation.LAGGING.value, Degradation.MODEL_REFUSED.value}
    world.wait("nothing to be degraded any more", lambda: world.watch.degraded() <= mended, feed=True)
    if scene.caller is not None:
        scene.findings += calls_kept(scene, scene.caller)
    world.drain(*[service for service in world.services if service.stages])
    world.rest()
    if layout.edges:
        scene.findings += alerts_told(scene)
    evidence = gather(world)
    outcome = Outcome(layout.name, setting.seed)
    if layout.edges:
        outcome.findings += drift_findings(evidence)
    # The watchers saw every moment; what they saw counts as what is found at rest.
    outcome.findings += [*judge(evidence), *audit(world), *scene.findings, *scene.witness.findings]
    outcome.findings += world.watch.findings
    outcome.findings += open_transactions(world.addresses.kafka, world.pipeline.name)
    outcome.findings += fenced_writes(scene.brokers, world.pipeline.name)
    if layout.comparable:
        outcome.findings += differences(evidence, world, setting)
    outcome.oddities = dict(getattr(world.plan.load, "oddities", {}))
    outcome.made = dict(getattr(world.plan.load, "made", {}))
    outcome.published = evidence.published
    outcome.predictions = scene.witness.predictions.count
    outcome.looks = scene.witness.partials.looks
    outcome.fenced = sum(service.fenced for service in scene.services.values())
    outcome.restarted = dict(world.restarted)
    outcome.memory_mb = {name: round(most, 1) for name, most in world.memory_mb.items()}
    outcome.findings += unbounded(outcome.memory_mb)
    return outcome


def unbounded(memory_mb: Mapping[str, float]) -> list[Finding]:
    """Return what took more memory than it may, by the most that each process had, in MiB.

    Examples
    --------
    >>> [finding.text for finding in unbounded({"learn": 120.0, "score": 300.0})]
    ['score took 300 MiB of memory; it may have 256']
    """
    return [
        Finding(Sort.WRONG, f"{name} took {most:.0f} MiB of memory; it may have {_MOST_MEMORY_MB:.0f}")
        for name, most in sorted(memory_mb.items())
        if most > _MOST_MEMORY_MB
    ]
