"""Consumer groups of the in-memory log: cooperative, sticky, and driven by nothing but polls."""

from __future__ import annotations

__all__ = ["Group", "MemoryMembership"]


class MemoryMembership:
    """A member of a group. A partition moves only after its old owner has polled, left or expired."""

    __slots__ = ("_group", "owned")

    def __init__(self, group: Group) -> None:
        self._group = group
        self.owned: frozenset[int] = frozenset()
        group.join(self)

    def poll(self, timeout: float = 0.0) -> frozenset[int]:
        """Serve the group protocol and return the partitions now owned; never waits."""
        del timeout
        self._group.serve(self)
        return self.owned

    def close(self) -> None:
        """Leave the group; idempotent."""
        self._group.remove(self)
        self.owned = frozenset()


class Group:
    """A group that shares out the partitions of one topic.

    Parameters
    ----------
    partitions
        How many partitions the topic has.

    Attributes
    ----------
    generation
        Counts the changes of membership.
    """

    __slots__ = ("_partitions", "_targets", "generation")

    def __init__(self, partitions: int) -> None:
        self.generation = 0
        self._partitions = partitions
        # Members in the order of joining, with what each shall own.
        self._targets: dict[MemoryMembership, frozenset[int]] = {}

    def join(self, member: MemoryMembership) -> None:
        """Take a member in."""
        self._targets[member] = frozenset()
        self._rebalance()

    def remove(self, member: MemoryMembership) -> None:
        """Let a member leave, or expel it: then it goes on believing what it owned until it polls."""
        if self._targets.pop(member, None) is not None:
            self._rebalance()

    def serve(self, member: MemoryMembership) -> None:
        """Tell a member what it owns: it gives up what it shall not have, then takes what is free."""
        target = self._targets.get(member)
        if target is None:
            member.owned = frozenset()
            self.join(member)
            return
        taken = frozenset[int]().union(*(other.owned for other in self._targets if other is not member))
        member.owned = (member.owned & target) | (target - taken)

    def _rebalance(self) -> None:
        self.generation += 1
        if not self._targets:
            return
        share, extra = divmod(self._partitions, len(self._targets))
        free = set(range(self._partitions))
        quotas: dict[MemoryMembership, int] = {}
        for index, (member, target) in enumerate(self._targets.items()):
            quotas[member] = share + (index < extra)
            kept = frozenset(sorted(target)[: quotas[member]])
            self._targets[member] = kept
            free -= kept
        rest = sorted(free)
        for member, kept in self._targets.items():
            missing = quotas[member] - len(kept)
            self._targets[member] = kept | frozenset(rest[:missing])
            rest = rest[missing:]
