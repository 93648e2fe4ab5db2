"""What every log does when a connection breaks during a commit: the in-memory one and a real broker alike."""

from __future__ import annotations

import pytest

from chaos.proxies import Fault
from riverrun.runtime.ports import LogUnavailableError, TopicSpec, TornError, Writer
from tests.log.shaky_worlds import ShakyWorld
from tests.log.steps import begin, reached, values, write
from tests.log.worlds import read_all


@pytest.fixture
def topic(shaky_world: ShakyWorld, name: str) -> str:
    """A topic with one partition."""
    shaky_world.near.log.ensure_topics([TopicSpec(name, 1)])
    return name


def opened(world: ShakyWorld, transactional_id: str) -> Writer:
    """Open a writer on the far side of the network."""
    writer = world.far.writer(transactional_id)
    writer.open()
    return writer


def tail(world: ShakyWorld, topic: str) -> list[bytes | None]:
    """Return all that is committed, when nothing is open any more."""
    return values(world.near.log.tail(topic, 0, 99))


def visible(world: ShakyWorld, topic: str) -> list[bytes | None]:
    """Return what readers see now, though a transaction may be open."""
    reader = world.near.log.reader(topic, 0, 0)
    try:
        return values(read_all(reader))
    finally:
        reader.close()


class TestNoticed:
    @pytest.mark.parametrize("fault", list(Fault))
    def test_it_commits_once_and_costs_the_writer(self, shaky_world: ShakyWorld, topic: str, fault: Fault) -> None:
        """The client's silent retry commits, records and offsets; but the writer raises, and does not begin again."""
        writer = opened(shaky_world, topic)
        write(writer, topic, [b"1"])
        shaky_world.fail_next(fault)
        begin(writer, topic, [b"2"])
        with pytest.raises(TornError, match=topic):
            writer.commit({(topic, 0): 5}, topic)
        assert writer.first_offset(topic, 0) == 2
        with pytest.raises(LogUnavailableError, match="torn"):
            writer.begin()
        writer.close()
        assert tail(shaky_world, topic) == [b"1", b"2"]
        assert shaky_world.near.committed(topic, topic, 0) == 5

    @pytest.mark.parametrize("fault", list(Fault))
    def test_what_is_delayed_cannot_end_a_new_writers_transaction(
        self, shaky_world: ShakyWorld, topic: str, fault: Fault
    ) -> None:
        """The writer that is made after ``TornError`` has another epoch, which the delayed request lacks; and only a
        delayed one is still under way.
        """
        writer = opened(shaky_world, topic)
        shaky_world.fail_next(fault)
        begin(writer, topic, [b"1"])
        with pytest.raises(TornError):
            writer.commit({}, "unused")
        writer.close()
        newer = opened(shaky_world, topic)
        begin(newer, topic, [b"2"])
        reached(shaky_world.near.log, topic, 3)
        assert shaky_world.release() == (1 if fault is Fault.DELAYED else 0)
        assert visible(shaky_world, topic) == [b"1"]
        newer.send(topic, 0, None, b"3", ())
        newer.commit({}, "unused")
        newer.close()
        assert tail(shaky_world, topic) == [b"1", b"2", b"3"]

    def test_an_undisturbed_writer_is_not_torn(self, shaky_world: ShakyWorld, topic: str) -> None:
        """No false alarm, with records, group offsets or aborts."""
        writer = opened(shaky_world, topic)
        for number in range(20):
            begin(writer, topic, [b"%d" % number])
            if number % 5 == 4:
                writer.abort()
            else:
                writer.commit({(topic, 0): number}, topic)
        writer.close()
        assert tail(shaky_world, topic) == [b"%d" % number for number in range(20) if number % 5 != 4]
        assert shaky_world.near.committed(topic, topic, 0) == 18


class TestUnnoticed:
    def test_it_tears_the_next_transaction(self, shaky_world: ShakyWorld, topic: str) -> None:
        """The failure is real: half of the next transaction becomes visible, the rest is lost.

        Should this test fail with a new version of librdkafka, `TornError` has perhaps become unnecessary.
        """
        careless = shaky_world.careless(topic)
        shaky_world.fail_next(Fault.DELAYED)
        careless.begin(topic, [b"1"])
        careless.commit()
        careless.begin(topic, [b"half"])
        assert visible(shaky_world, topic) == [b"1"]
        assert shaky_world.release() == 1
        assert tail(shaky_world, topic) == [b"1", b"half"]
        careless.send(topic, b"rest")
        with pytest.raises(LogUnavailableError):
            careless.commit()
        assert tail(shaky_world, topic) == [b"1", b"half"]

    def test_one_that_finds_no_transaction_does_nothing(self, shaky_world: ShakyWorld, topic: str) -> None:
        """It is taken for the repetition that it is, and is gone then; the writer goes on."""
        careless = shaky_world.careless(topic)
        shaky_world.fail_next(Fault.DELAYED)
        careless.begin(topic, [b"1"])
        careless.commit()
        assert shaky_world.release() == 1
        assert shaky_world.release() == 0
        assert tail(shaky_world, topic) == [b"1"]
        careless.begin(topic, [b"2"])
        assert visible(shaky_world, topic) == [b"1"]
        careless.commit()
        assert tail(shaky_world, topic) == [b"1", b"2"]

    @pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.LOST_ANSWER])
    def test_what_is_lost_tears_nothing(self, shaky_world: ShakyWorld, topic: str, fault: Fault) -> None:
        """Where nothing is under way any more, not to look does no harm: each transaction stays whole."""
        careless = shaky_world.careless(topic)
        shaky_world.fail_next(fault)
        careless.begin(topic, [b"1"])
        careless.commit()
        careless.begin(topic, [b"2"])
        assert shaky_world.release() == 0
        assert visible(shaky_world, topic) == [b"1"]
        careless.send(topic, b"3")
        careless.commit()
        assert tail(shaky_world, topic) == [b"1", b"2", b"3"]
