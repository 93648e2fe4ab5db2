"""What an event costs, as measured: processor time of each stage, bytes, and Redis's own time."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

KEPT: Final = Path(__file__).with_name("costs.json")


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs of the flights example.

    Parameters
    ----------
    ingest_us, features_us, score_us, labels_us, learn_us
        Processor time of a stage by itself on a log in memory, by source event. Microseconds.
    chain_us
        The same of the first four stages chained in one process. Microseconds.
    servers_us
        Processor time of all five chained, on a real Kafka and Redis, with their clients' threads. Microseconds.
    example_us
        Processor time of learning one example, three models. Microseconds.
    predictions
        Predictions by source event.
    examples
        Examples by source event.
    bytes_out
        Bytes appended to riverrun's own topics by source event, uncompressed.
    bytes_in
        Bytes of a source event.
    puts
        Entities changed by source event.
    put_us, read_us
        Redis's own processor time to write one entity, and to read one from one partition. Microseconds.
    fetch_us
        A worker's processor time to read one entity of one other partition and take it apart. Microseconds.
    merge_us
        A worker's processor time to merge one other partition's partial into a vector, and to write down that it did.
        Microseconds.
    merge_bytes
        Bytes that writing it down adds to a vector.
    entity_bytes
        What an entity takes in Redis.
    distinct
        Of the reads of a batch's vectors, the share that is left when each entity is read once.
    batch
        Vectors in the batch that ``distinct`` was measured on.
    groups
        Reads of entities by vector.
    """

    ingest_us: float
    features_us: float
    score_us: float
    labels_us: float
    learn_us: float
    chain_us: float
    servers_us: float
    example_us: float
    predictions: float
    examples: float
    bytes_out: float
    bytes_in: float
    puts: float
    put_us: float
    read_us: float
    fetch_us: float
    merge_us: float
    merge_bytes: float
    entity_bytes: float
    distinct: float
    batch: int
    groups: int

    @property
    def event_us(self) -> float:
        """Processor time of one source event in a chained worker on real servers, learning aside."""
        return max(self.chain_us, self.servers_us - self.learn_us)


def read_costs() -> Costs:
    """Return the costs that are kept in the repository."""
    return Costs(**json.loads(KEPT.read_text(encoding="utf-8")))


def keep_costs(costs: Costs) -> None:
    """Keep costs for the page to be made from."""
    rounded = {
        name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in asdict(costs).items()
    }
    KEPT.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
