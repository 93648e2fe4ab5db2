"""Cuts a list of stages into chains that may run in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from riverrun.runtime.stage import StageDefinition


def cut_chains(
    stages: Sequence[StageDefinition], partitions: int, *, chained: bool = True
) -> list[list[StageDefinition]]:
    """Group stages that read what the others write.

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
        if joins and any(each.name == _BEFORE.get(stage.name) for each in chains[-1]):
            chains[-1].append(stage)
        else:
            chains.append([stage])
    return chains


_BEFORE = {
    "features": "ingest",
    "score": "features",
    "labels": "score",
    "drift-inputs": "score",
    "learn": "labels",
    "drift-errors": "labels",
}
"""The stage that writes what each stage reads; of two, the later one."""
