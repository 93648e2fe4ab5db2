"""Cuts a list of stages into chains that may run in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from riverrun.runtime.stage import StageDefinition


def cut_chains(
    stages: Sequence[StageDefinition], partitions: int, *, chained: bool = True
) -> list[list[StageDefinition]]:
    """Group neighbouring stages.

    ``stages`` must be in the pipeline's order. A stage whose input is one partition for the whole pipeline
    (``learn``) joins a chain only when the pipeline has one partition; else it takes in what several chains wrote.

    Parameters
    ----------
    stages
        Some or all of the pipeline's stages, in order.
    partitions
        Partitions of the pipeline.
    chained
        False to run each stage by itself, with a hop through the log between.
    """
    chains: list[list[StageDefinition]] = []
    for stage in stages:
        joins = chained and bool(chains) and (not stage.sharded or partitions == 1)
        if joins and _follows(chains[-1][-1], stage):
            chains[-1].append(stage)
        else:
            chains.append([stage])
    return chains


_ORDER = ("ingest", "features", "score", "labels", "learn")


def _follows(before: StageDefinition, after: StageDefinition) -> bool:
    return _ORDER.index(after.name) == _ORDER.index(before.name) + 1
