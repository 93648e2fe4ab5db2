"""What every log promises of its groups and topics: the in-memory one and a real broker alike."""

from __future__ import annotations

import pytest

from riverrun.errors import RiverrunError
from riverrun.runtime.ports import TopicSpec
from tests.log.steps import MakeTopic, MakeWriter, begin, values
from tests.log.worlds import World, until


class TestGroups:
    def test_offsets_commit_with_the_records_while_members_are_active(
        self, world: World, topic: str, opened: MakeWriter
    ) -> None:
        """Lag tools see the offsets of committed transactions only; membership has no say in it."""
        member = world.log.membership(topic, topic)
        until(lambda: member.poll(0.1) == {0}, "the partition")
        writer = opened(topic)
        begin(writer, topic, [b"1"])
        writer.commit({(topic, 0): 7}, topic)
        until(lambda: world.committed(topic, topic, 0) == 7, "the first offset")
        begin(writer, topic, [b"2"])
        writer.abort()
        writer.begin()
        writer.commit({(topic, 0): 8}, topic)
        until(lambda: world.committed(topic, topic, 0) == 8, "the second offset")
        assert member.poll() == {0}
        member.close()

    def test_members_share_the_partitions(self, world: World, make_topic: MakeTopic) -> None:
        """Each partition has one owner; who leaves hands over to who stays."""
        topic = make_topic(4)
        one, two = world.log.membership(topic, topic), world.log.membership(topic, topic)

        def shared() -> bool:
            first, second = one.poll(0.05), two.poll(0.05)
            return len(first) == len(second) == 2 and first | second == {0, 1, 2, 3}

        until(shared, "two partitions each")
        two.close()
        until(lambda: one.poll(0.05) == {0, 1, 2, 3}, "all partitions")
        one.close()

    def test_a_member_that_is_killed_is_replaced(self, world: World, make_topic: MakeTopic) -> None:
        """Its partitions go to the others when its session is over."""
        topic = make_topic(2)
        doomed = world.doomed_member(topic, topic)
        member = world.log.membership(topic, topic)
        until(lambda: len(member.poll(0.05)) == len(doomed.owned()) == 1, "one partition each")
        doomed.kill()
        until(lambda: member.poll(0.1) == {0, 1}, "all partitions")
        member.close()


class TestTopics:
    def test_what_exists_is_left_alone(self, world: World, name: str) -> None:
        """To ensure a topic twice is to ensure it once; others in the same call are created."""
        other = f"{name}-compacted"
        world.log.ensure_topics([TopicSpec(name, 3)])
        world.publish(name, 2, b"kept")
        world.log.ensure_topics([TopicSpec(name, 3), TopicSpec(other, 1, True, {"retention.ms": "-1"})])
        assert (world.log.partitions(name), world.log.partitions(other)) == (3, 1)
        assert values(world.log.tail(name, 2, 1)) == [b"kept"]

    def test_another_number_of_partitions_is_an_error(self, world: World, name: str) -> None:
        """It names the topic, and creates nothing."""
        world.log.ensure_topics([TopicSpec(name, 2)])
        with pytest.raises(RiverrunError, match=f"{name}.*2 partitions, expected 3"):
            world.log.ensure_topics([TopicSpec(f"{name}-new", 1), TopicSpec(name, 3)])
        assert world.log.partitions(name) == 2
        assert world.log.partitions(f"{name}-new") == 0
