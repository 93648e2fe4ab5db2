"""What the gateway reads from the log when it is asked: evaluations, the label ledger, dead letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from riverrun.embedded.addresses import Addresses
from riverrun.launch.letters import Letter, dead_letters, send_again
from riverrun.launch.survey import survey
from riverrun.records.items import DeadLetter, Evaluation
from riverrun.records.topics import Kind
from riverrun.runtime.deployment import Deployment

__all__ = ["LogArchive"]


class LogArchive:
    """Reads a pipeline's log anew with each call, in the caller's thread.

    Parameters
    ----------
    deployment
        The pipeline.
    addresses
        Its servers.
    """

    def __init__(self, deployment: Deployment, addresses: Addresses) -> None:
        self._deployment = deployment
        self._addresses = addresses

    def evaluations(self, limit: int) -> list[Evaluation]:
        """Return the newest evaluations, oldest first."""
        deployment = self._deployment
        topic = deployment.topology.names[Kind.EVALUATIONS]
        found = [
            item
            for partition in range(deployment.topology.partitions)
            for record in deployment.log.tail(topic, partition, limit)
            if isinstance(item := deployment.wire.item(record), Evaluation)
        ]
        return sorted(found, key=lambda each: each.position)[-limit:]

    def ledger(self) -> Mapping[str, int]:
        """Return how many predictions there are, and what became of them."""
        return survey(self._deployment).ledger()

    def letters(self, limit: int, reason: str | None) -> list[Letter]:
        """Return the newest dead letters of each partition, of one reason or of all."""
        deployment = self._deployment
        topic = deployment.topology.names[Kind.DEAD_LETTERS]
        return [
            Letter(partition, item)
            for partition in range(deployment.topology.partitions)
            for record in deployment.log.tail(topic, partition, limit)
            if isinstance(item := deployment.wire.item(record), DeadLetter) and reason in (None, item.reason)
        ]

    def replay(self, names: Sequence[str]) -> list[str]:
        """Send dead letters again; return their names.

        Raises
        ------
        KeyError
            If some do not exist: then none is sent. It holds their names.
        UnavailableError
            If Kafka did not take all of them.
        """
        wanted = set(names)
        chosen = [each for each in dead_letters(self._deployment) if each.name in wanted]
        missing = wanted - {each.name for each in chosen}
        if missing:
            raise KeyError(", ".join(sorted(missing)))
        return [each.name for each in send_again(self._addresses, chosen)]
