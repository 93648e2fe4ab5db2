"""The in-memory log's transaction coordinator: epochs fence, timeouts abort, and commits can be held back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from riverrun.runtime.ports import FencedError
from riverrun.testing.memory_partition import Fate, Transaction

__all__ = ["TransactionCoordinator"]

GroupOffsets = dict[str, dict[tuple[str, int], int]]


class _Identity:
    """A transactional id: the epoch of its present writer and that writer's open transaction."""

    __slots__ = ("epoch", "transaction")

    def __init__(self) -> None:
        self.epoch = -1
        self.transaction: Transaction | None = None


class TransactionCoordinator:
    """Keeps transactional ids.

    Parameters
    ----------
    now
        The manual clock, in milliseconds.
    timeout_ms
        How long a transaction may be open.

    Attributes
    ----------
    group_offsets
        Committed offsets by group and (topic, partition).
    """

    def __init__(self, now: Callable[[], int], timeout_ms: int) -> None:
        self.group_offsets: GroupOffsets = {}
        self._now = now
        self._timeout = timeout_ms
        self._identities: dict[str, _Identity] = {}
        self._held: list[tuple[str, int]] = []

    def open(self, transactional_id: str) -> int:
        """Start a new epoch, which fences the writers of older ones and aborts what they left open."""
        identity = self._identities.setdefault(transactional_id, _Identity())
        self._end(identity, Fate.ABORTED)
        identity.epoch += 1
        return identity.epoch

    def join(self, transactional_id: str, epoch: int) -> Transaction:
        """Return the id's open transaction, beginning one if there is none.

        Raises
        ------
        FencedError
            If the epoch is not the present one.
        """
        identity = self._check(transactional_id, epoch)
        if identity.transaction is None:
            identity.transaction = Transaction(self._now())
        return identity.transaction

    def end(self, transactional_id: str, epoch: int, fate: Fate) -> None:
        """Commit or abort; does nothing when no transaction is open.

        Raises
        ------
        FencedError
            If the epoch is not the present one.
        """
        self._end(self._check(transactional_id, epoch), fate)

    def _check(self, transactional_id: str, epoch: int) -> _Identity:
        identity = self._identities[transactional_id]
        if identity.epoch != epoch:
            raise FencedError(
                f"the writer {transactional_id!r} was fenced",
                hint="another member opened it, or a transaction outlived its timeout",
            )
        return identity

    def _end(self, identity: _Identity, fate: Fate) -> None:
        transaction, identity.transaction = identity.transaction, None
        if transaction is None:
            return
        transaction.end(fate)
        if fate is Fate.COMMITTED:
            for (group, place), offset in transaction.offsets.items():
                self.group_offsets.setdefault(group, {})[place] = offset

    @property
    def held(self) -> int:
        """How many requests to commit are held."""
        return len(self._held)

    def hold(self, transactional_id: str, epoch: int) -> None:
        """Keep a copy of a request to commit, as a network that delays it would."""
        self._held.append((transactional_id, epoch))

    def release(self) -> int:
        """Deliver the held requests; return how many ended a transaction that they were not meant for."""
        held, self._held = self._held, []
        torn = 0
        for transactional_id, epoch in held:
            identity = self._identities[transactional_id]
            if identity.epoch == epoch and identity.transaction is not None:
                self._end(identity, Fate.COMMITTED)
                torn += 1
        return torn

    def expire(self) -> None:
        """Abort what has been open for too long, and fence its writer."""
        deadline = self._now() - self._timeout
        for identity in self._identities.values():
            if identity.transaction is not None and identity.transaction.started <= deadline:
                self._end(identity, Fate.ABORTED)
                identity.epoch += 1

    def expires(self, transaction: Transaction) -> int:
        """Return the time at which an open transaction will be aborted."""
        return transaction.started + self._timeout

    def committed(self, group: str) -> Mapping[tuple[str, int], int]:
        """Return the group's committed offsets."""
        return dict(self.group_offsets.get(group, {}))
