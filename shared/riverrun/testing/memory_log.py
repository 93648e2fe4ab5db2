"""The log port in memory, to test stages and the runtime with: exact, deterministic, with many ways to fail.

It keeps Kafka's rules (see the contract suite, which both implementations pass): transactions take up offsets
with control records, an open one holds readers up, epochs fence, groups hand partitions over. Nothing runs by
itself: time is what ``advance`` says, and several members may be interleaved in one thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from riverrun.errors import RiverrunError
from riverrun.runtime.ports import Headers, LogUnavailableError, Record, TopicSpec
from riverrun.testing.memory_clients import MemoryReader, MemoryWriter
from riverrun.testing.memory_failures import Failure
from riverrun.testing.memory_group import Group, MemoryMembership
from riverrun.testing.memory_partition import Partition, View
from riverrun.testing.memory_transactions import TransactionCoordinator

__all__ = ["Failure", "MemoryLog"]


class _Hold(NamedTuple):
    """What becomes of a commit whose connection breaks."""

    noticed: bool
    lost: bool


class MemoryLog:
    """A partitioned, transactional log in memory; one object is the whole cluster.

    Parameters
    ----------
    transaction_timeout_ms : int, default=10_000
        How long a transaction may be open, on the manual clock.

    Notes ----- Two things differ from Kafka: ``tail``, which cannot wait in a single thread, advances the
    clock to when the transactions in its way time out; and compaction is left out.

    Examples
    --------
    >>> log = MemoryLog()
    >>> log.ensure_topics([TopicSpec("events", 1)])
    >>> writer = log.writer("ingest-0")
    >>> writer.open()
    >>> writer.begin()
    >>> writer.send("events", 0, b"key", b"value", ())
    >>> reader = log.reader("events", 0, 0)
    >>> reader.poll(10)
    []
    >>> writer.commit({}, "ingest")
    >>> [record.value for record in reader.poll(10)]
    [b'value']
    >>> reader.end_offset
    2
    """

    def __init__(self, transaction_timeout_ms: int = 10_000) -> None:
        self.now = 0
        self.transactions = TransactionCoordinator(lambda: self.now, transaction_timeout_ms)
        self._timestamp = 0
        self._topics: dict[str, list[Partition]] = {}
        self._groups: dict[tuple[str, str], Group] = {}
        self._memberships: dict[MemoryMembership, Group] = {}
        self._failures: Counter[Failure] = Counter()
        self._holds: list[_Hold] = []
        self._cut: dict[Partition, View] = {}
        self._cut_until = 0

    # The port.

    def ensure_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Create what is absent; raise ``RiverrunError`` naming a topic whose partition count differs."""
        for spec in specs:
            count = self.partitions(spec.name)
            if count not in (0, spec.partitions):
                raise RiverrunError(f"the topic {spec.name!r} has {count} partitions, expected {spec.partitions}")
        for spec in specs:
            if spec.name not in self._topics:
                self._topics[spec.name] = [Partition(spec.name, number) for number in range(spec.partitions)]

    def partitions(self, topic: str) -> int:
        """Return the topic's partition count, 0 when it does not exist."""
        self._look_up()
        return len(self._topics.get(topic, ()))

    def start_offset(self, topic: str, partition: int) -> int:
        """Return the first offset still kept (the log start)."""
        self._look_up()
        return self.partition(topic, partition).start

    def high_watermark(self, topic: str, partition: int) -> int:
        """Return the offset after the last record, open transactions included."""
        self._look_up()
        return self.view(self.partition(topic, partition)).high_watermark

    def reader(self, topic: str, partition: int, offset: int) -> MemoryReader:
        """Open a reader at ``offset`` (or the log start if that is later)."""
        self._look_up()
        place = self.partition(topic, partition)
        return MemoryReader(self, place, max(offset, place.start))

    def writer(self, transactional_id: str) -> MemoryWriter:
        """Make a transactional writer, not yet opened."""
        return MemoryWriter(self, transactional_id)

    def tail(self, topic: str, partition: int, count: int, since: int = 0, reaching: int = 0) -> list[Record]:
        """Return the last ``count`` committed records from the offset ``since`` on (or all, if fewer), oldest first.

        Instead of waiting for open transactions it advances the clock until they have timed out.
        """
        if self.fails(Failure.TAIL):
            raise LogUnavailableError(f"cannot read the tail of {topic}[{partition}]: told to fail")
        place = self.partition(topic, partition)
        stable, end = self.view(place)
        if reaching > end:
            raise LogUnavailableError(f"cannot read {topic}[{partition}] to {reaching}: its broker knows but {end}")
        if self._cut and stable < end:
            raise LogUnavailableError(f"cannot read {topic}[{partition}]: a transaction is open, and will be")
        while place.stable < end:
            blocking = place.oldest()
            if blocking is not None:
                self.advance(self.transactions.expires(blocking) - self.now)
        records, _ = place.read(max(place.start, since), end)
        below = [record for record in records if record.offset < end]
        return below[-count:] if count > 0 else []

    def membership(self, group: str, topic: str) -> MemoryMembership:
        """Join ``group`` to share out the partitions of ``topic``."""
        count = self.partitions(topic)
        if not count:
            raise LogUnavailableError(f"cannot share {topic!r} in group {group!r}: there is no such topic")
        joined = self._groups.setdefault((group, topic), Group(count))
        membership = MemoryMembership(joined)
        self._memberships[membership] = joined
        return membership

    def close(self) -> None:
        """Do nothing: the log outlives those who use it."""

    # What tests do to it.

    def append(
        self,
        topic: str,
        partition: int,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        timestamp: int | None = None,
    ) -> int:
        """Publish outside of any transaction, as a producer does; return the offset."""
        moment = self.tick() if timestamp is None else timestamp
        return self.partition(topic, partition).append(moment, key, value, headers, None)

    def advance(self, ms: int) -> None:
        """Let time pass: transactions open for too long are aborted and their writers fenced."""
        self.now += max(0, ms)
        if self.now >= self._cut_until:
            self._cut.clear()
        self.transactions.expire()

    def fail_next(self, failure: Failure, times: int = 1) -> None:
        """Make the next ``times`` operations of a kind fail."""
        self._failures[failure] += times

    def cut_off(self, topics: Iterable[str], ms: int) -> None:
        """Let the leaders of some topics be cut off from the others for a while, and not know it.

        Others lead, and writers write to these. Who reads, or asks for an end, is told what was there before.
        """
        self._cut_until = self.now + ms
        self._cut = {place: place.view() for topic in topics for place in self._topics.get(topic, ())}

    def heal(self) -> None:
        """Forget the failures and delays that are still to come; copies held already stay held."""
        self._cut.clear()
        self._failures.clear()
        self._holds.clear()

    def hold_commit(self, *, noticed: bool = True, lost: bool = False) -> None:
        """Delay a copy of the next commit, whose retry succeeds, until ``release_commits``.

        This is what a connection that breaks during a commit does to a client without KIP-890.

        Parameters
        ----------
        noticed
            Whether the writer sees that its connection broke, and raises ``TornError``. Otherwise the commit
            returns as if nothing had been, as with a client that does not look.
        lost
            Whether nothing is under way any more: the request, or the answer to it, was lost with the connection.
        """
        self._holds.append(_Hold(noticed, lost))

    @property
    def held_commits(self) -> int:
        """How many delayed commits are still to be delivered."""
        return self.transactions.held

    def release_commits(self) -> int:
        """Deliver the delayed commits; return how many ended a transaction that they were not meant for."""
        return self.transactions.release()

    def expire_member(self, membership: MemoryMembership) -> None:
        """Expel a member that has stopped: others take over, while it still believes what it owned."""
        self._memberships[membership].remove(membership)

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        """Delete the records below an offset, as retention does."""
        place = self.partition(topic, partition)
        place.start = max(place.start, min(before, place.high_watermark))

    def committed(self, group: str) -> Mapping[tuple[str, int], int]:
        """Return the group's committed offsets, as a lag tool sees them."""
        return self.transactions.committed(group)

    def records(self, topic: str, partition: int) -> list[Record]:
        """Return all committed records below the last stable offset."""
        place = self.partition(topic, partition)
        return place.read(place.start, place.high_watermark)[0]

    # What its clients need of it.

    def partition(self, topic: str, number: int) -> Partition:
        """Return a partition; raise ``LogUnavailableError`` if there is none."""
        partitions = self._topics.get(topic, [])
        if not 0 <= number < len(partitions):
            raise LogUnavailableError(f"there is no partition {topic}[{number}]")
        return partitions[number]

    def view(self, place: Partition) -> View:
        """Return how far a partition goes, as whoever asks or reads is told."""
        return self._cut.get(place) or place.view()

    def tick(self) -> int:
        """Return the next timestamp: a count, in place of the time of day."""
        self._timestamp += 1
        return self._timestamp

    def fails(self, failure: Failure) -> bool:
        """Tell whether an operation has been told to fail, and count it off."""
        if self._failures[failure] <= 0:
            return False
        self._failures[failure] -= 1
        return True

    def holds(self, transactional_id: str, epoch: int) -> bool:
        """Hold a commit's copy if told to; return whether its writer notices."""
        if not self._holds:
            return False
        hold = self._holds.pop(0)
        if not hold.lost:
            self.transactions.hold(transactional_id, epoch)
        return hold.noticed

    def _look_up(self) -> None:
        if self.fails(Failure.LOOK_UP):
            raise LogUnavailableError("cannot look up a topic: told to fail")
