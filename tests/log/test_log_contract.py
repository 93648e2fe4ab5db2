"""What every log promises of its records: the in-memory one and a real broker alike."""

from __future__ import annotations

import pytest

from riverrun.runtime.ports import FencedError, LogUnavailableError, TopicSpec
from tests.log.steps import MakeList, MakeReader, MakeTopic, MakeWriter, begin, reached, values, write
from tests.log.worlds import World, collect, read_all, until


class TestReading:
    def test_only_what_is_committed_is_read(
        self, world: World, topic: str, opened: MakeWriter, reading: MakeReader
    ) -> None:
        """An open transaction holds readers up, at its first record, whoever wrote what comes after it."""
        world.publish(topic, 0, b"before")
        writer = opened(topic)
        begin(writer, topic, [b"inside"])
        reached(world.log, topic, 2)
        world.publish(topic, 0, b"after")
        reader = reading(topic)
        assert values(read_all(reader)) == [b"before"]
        assert reader.end_offset == 1
        writer.commit({}, "unused")
        assert values(collect(reader, 2)) == [b"inside", b"after"]

    def test_what_is_aborted_is_never_read(self, world: World, topic: str, opened: MakeWriter, whole: MakeList) -> None:
        """Readers pass over aborted records to the very end, and the writer goes on after an abort."""
        writer = opened(topic)
        write(writer, topic, [b"1"])
        begin(writer, topic, [b"lost", b"lost"])
        reached(world.log, topic, 4)
        writer.abort()
        write(writer, topic, [b"2"])
        assert values(whole(topic)) == [b"1", b"2"]

    def test_the_end_is_exact_behind_control_records(
        self, world: World, topic: str, opened: MakeWriter, reading: MakeReader
    ) -> None:
        """The end is unknown at first, and then behind the control record that no reader is shown."""
        writer, reader = opened(topic), reading(topic)
        assert (reader.at_end, reader.end_offset) == (False, -1)
        assert read_all(reader) == []
        assert (reader.at_end, reader.end_offset) == (True, 0)
        write(writer, topic, [b"1", b"2", b"3"])
        collect(reader, 1)
        assert (reader.at_end, reader.end_offset) == (False, 0)
        assert len(read_all(reader)) == 2
        assert reader.end_offset == 4 == world.log.high_watermark(topic, 0)

    def test_the_end_is_known_with_the_last_record(self, world: World, topic: str, reading: MakeReader) -> None:
        """Behind a record of a plain producer the end is known from the very poll that returns it."""
        reader = reading(topic)
        for offset in range(3):
            world.publish(topic, 0, b"record")
            until(lambda: bool(reader.poll(10, 0.2)), "the record")
            assert (reader.at_end, reader.end_offset) == (True, offset + 1)

    def test_what_is_unread_is_known_without_asking(
        self, world: World, topic: str, opened: MakeWriter, reading: MakeReader
    ) -> None:
        """Behind a few records of many the rest is unread, control records included, and nothing at the end."""
        write(opened(topic), topic, [b"%d" % number for number in range(9)])
        reader = reading(topic)
        assert reader.unread in (0, world.log.high_watermark(topic, 0))
        collect(reader, 4)
        assert reader.unread == 6
        read_all(reader)
        assert reader.unread == 0

    def test_the_end_is_exact_behind_aborted_records(
        self, world: World, topic: str, opened: MakeWriter, reading: MakeReader
    ) -> None:
        """Aborted records and their control record at the end of the log are behind a reader at its end."""
        writer, reader = opened(topic), reading(topic)
        write(writer, topic, [b"1"])
        begin(writer, topic, [b"lost"] * 3)
        reached(world.log, topic, 5)
        writer.abort()
        assert values(collect(reader, 1)) == [b"1"]
        until(lambda: not reader.poll(1, 0.2) and reader.end_offset == 6, "the end behind the aborted records")
        assert reader.at_end
        assert world.log.high_watermark(topic, 0) == 6

    def test_a_reader_resumes_at_any_offset(self, topic: str, opened: MakeWriter, whole: MakeList) -> None:
        """A reader that begins after a record reads what the one before would have read next."""
        writer = opened(topic)
        for number in range(4):
            write(writer, topic, [b"%d" % number, b"x%d" % number])
        records = whole(topic)
        for index, record in enumerate(records[:5]):
            assert whole(topic, record.offset + 1) == records[index + 1 :]

    def test_a_reader_begins_at_the_log_start_at_the_earliest(self, world: World, topic: str, whole: MakeList) -> None:
        """What retention has deleted is skipped when a reader is opened below it."""
        for number in range(5):
            world.publish(topic, 0, b"%d" % number)
        world.delete_records(topic, 0, 3)
        assert world.log.start_offset(topic, 0) == 3
        assert [record.offset for record in whole(topic)] == [3, 4]

    def test_a_reader_never_jumps(self, world: World, topic: str, reading: MakeReader) -> None:
        """Beyond the end there is nothing to wait for: the log has lost records, and the reader says so."""
        world.publish(topic, 0, b"only")
        reader = reading(topic, 5)
        with pytest.raises(LogUnavailableError, match=topic):
            until(lambda: bool(reader.poll(1, 0.2)), "a record that cannot be")
        with pytest.raises(LogUnavailableError):
            reader.poll(1)

    def test_a_poll_returns_no_more_than_asked_for(self, topic: str, opened: MakeWriter, reading: MakeReader) -> None:
        """The limit holds, and what is left comes with the next poll."""
        write(opened(topic), topic, [b"%d" % number for number in range(30)])
        assert values(collect(reading(topic), 30, limit=7)) == [b"%d" % number for number in range(30)]

    def test_records_come_back_as_they_were_sent(
        self, world: World, topic: str, opened: MakeWriter, whole: MakeList
    ) -> None:
        """Null is not empty, neither in keys, values nor headers; headers keep their order and may repeat."""
        headers = [("b", b"1"), ("a", None), ("b", b""), ("ü", b"\x00\xff")]
        writer = opened(topic)
        writer.begin()
        writer.send(topic, 0, b"key", None, headers)
        writer.send(topic, 0, None, b"", tuple(headers))
        writer.send(topic, 0, b"", b"\x00", ())
        writer.commit({}, "unused")
        world.publish(topic, 0, b"value", key=b"raw", headers=[("h", b"1")])
        first, second, third, raw = whole(topic)
        assert (first.key, first.value, list(first.headers)) == (b"key", None, headers)
        assert (second.key, second.value, list(second.headers)) == (None, b"", headers)
        assert (third.key, third.value, list(third.headers)) == (b"", b"\x00", [])
        assert (raw.key, raw.value, list(raw.headers)) == (b"raw", b"value", [("h", b"1")])
        assert (first.topic, first.partition) == (topic, 0)
        assert 0 < first.timestamp <= second.timestamp <= third.timestamp

    def test_an_unknown_topic_cannot_be_read(self, world: World, name: str) -> None:
        """A topic that does not exist has no partitions, and to read it is an error."""
        assert world.log.partitions(name) == 0
        with pytest.raises(LogUnavailableError, match=name):
            world.log.reader(name, 0, 0)


class TestWriting:
    def test_a_large_transaction_keeps_its_order(
        self, make_topic: MakeTopic, opened: MakeWriter, whole: MakeList
    ) -> None:
        """5,000 records on two partitions become visible together, each partition in the order of sending."""
        topic = make_topic(2)
        writer = opened(topic)
        writer.begin()
        for number in range(5_000):
            writer.send(topic, number % 2, b"k", b"%d" % number, (("seq", b"%d" % number),))
        writer.commit({}, "unused")
        for partition in (0, 1):
            records = whole(topic, partition=partition)
            assert values(records) == [b"%d" % number for number in range(partition, 5_000, 2)]
            assert [record.offset for record in records] == list(range(2_500))

    def test_a_transaction_right_after_another_keeps_its_order(
        self, topic: str, opened: MakeWriter, whole: MakeList
    ) -> None:
        """However soon it begins, and though the caller uses one list of headers again and again."""
        writer = opened(topic)
        headers: list[tuple[str, bytes | None]] = [("n", b"")]
        for number in range(40):
            writer.begin()
            for part in range(number % 3):
                headers[0] = ("n", b"%d.%d" % (number, part))
                writer.send(topic, 0, None, b"%d.%d" % (number, part), headers)
            writer.commit({}, "")
        wanted = [b"%d.%d" % (number, part) for number in range(40) for part in range(number % 3)]
        found = whole(topic)
        assert [record.value for record in found] == wanted
        assert [dict(record.headers)["n"] for record in found] == wanted

    def test_the_first_offset_of_a_transaction_is_known(self, make_topic: MakeTopic, opened: MakeWriter) -> None:
        """For each partition written to, and only for this transaction."""
        topic = make_topic(3)
        writer = opened(topic)
        write(writer, topic, [b"1", b"2"])
        assert [writer.first_offset(topic, partition) for partition in range(3)] == [0, -1, -1]
        writer.begin()
        assert writer.first_offset(topic, 0) == -1
        writer.send(topic, 1, None, b"3", ())
        writer.send(topic, 0, None, b"4", ())
        writer.send(topic, 0, None, b"5", ())
        writer.commit({}, "unused")
        assert [writer.first_offset(topic, partition) for partition in range(3)] == [3, 0, -1]

    def test_an_empty_transaction_leaves_no_trace(self, world: World, topic: str, opened: MakeWriter) -> None:
        """To commit nothing is allowed, and takes up no offset."""
        writer = opened(topic)
        write(writer, topic, [])
        write(writer, topic, [b"1"])
        assert writer.first_offset(topic, 0) == 0
        until(lambda: world.log.high_watermark(topic, 0) == 2, "the control record")

    def test_a_writer_is_fenced_by_the_next_with_its_id(
        self, world: World, topic: str, opened: MakeWriter, whole: MakeList
    ) -> None:
        """The older one fails at its commit, nothing of it is ever visible, and it says so ever after."""
        older = opened(topic)
        write(older, topic, [b"before"])
        begin(older, topic, [b"lost", b"lost"])
        reached(world.log, topic, 4)
        newer = opened(topic)
        write(newer, topic, [b"after"])
        with pytest.raises(FencedError, match=topic):
            older.commit({(topic, 0): 9}, "zombies")
        older.abort()
        with pytest.raises(FencedError):
            older.begin()
        assert values(whole(topic)) == [b"before", b"after"]
        assert world.committed("zombies", topic, 0) == -1

    def test_a_writer_that_slept_is_fenced_too(self, topic: str, opened: MakeWriter, whole: MakeList) -> None:
        """It had no transaction open when it was replaced; the one begun on coming back is lost."""
        older, newer = opened(topic), opened(topic)
        write(newer, topic, [b"1"])
        begin(older, topic, [b"lost"] * 10)
        with pytest.raises(FencedError):
            older.commit({}, "unused")
        write(newer, topic, [b"2"])
        assert values(whole(topic)) == [b"1", b"2"]

    def test_opening_frees_readers_of_what_a_dead_writer_left_open(
        self, world: World, topic: str, opened: MakeWriter, whole: MakeList
    ) -> None:
        """Nobody waits for a timeout when the partition has been taken over."""
        older = opened(topic)
        begin(older, topic, [b"lost"])
        reached(world.log, topic, 1)
        older.close()
        world.publish(topic, 0, b"behind")
        opened(topic)
        assert world.log.tail(topic, 0, 1)[0].value == b"behind"
        assert values(whole(topic)) == [b"behind"]

    def test_different_ids_do_not_fence_each_other(self, topic: str, opened: MakeWriter, whole: MakeList) -> None:
        """Two may have transactions open on the same partition; both commit."""
        one, two = opened(f"{topic}-1"), opened(f"{topic}-2")
        begin(one, topic, [b"1"])
        begin(two, topic, [b"2"])
        two.commit({}, "unused")
        one.commit({}, "unused")
        assert sorted(value or b"" for value in values(whole(topic))) == [b"1", b"2"]

    def test_a_writer_must_be_opened(self, world: World, name: str) -> None:
        """To begin before is a mistake in the program, not in the world."""
        with pytest.raises(RuntimeError, match="not been opened"):
            world.log.writer(name).begin()

    def test_a_closed_writer_refuses(self, topic: str, opened: MakeWriter) -> None:
        """Closing twice is harmless; to begin afterwards is an error."""
        writer = opened(topic)
        writer.close()
        writer.close()
        with pytest.raises(LogUnavailableError, match="closed"):
            writer.begin()

    def test_a_transaction_open_for_too_long_is_aborted_and_its_writer_fenced(
        self, world: World, topic: str, whole: MakeList
    ) -> None:
        """Tail waits until the timeout has resolved it; then the writer's commit fails."""
        writer = world.impatient.writer(topic)
        writer.open()
        write(writer, topic, [b"1"])
        begin(writer, topic, [b"lost"])
        reached(world.log, topic, 3)
        assert values(world.log.tail(topic, 0, 10)) == [b"1"]
        with pytest.raises(FencedError):
            writer.commit({}, "unused")
        writer.close()
        assert values(whole(topic)) == [b"1"]


class TestConfirmedEnds:
    def test_all_that_was_committed_lies_below(self, world: World, make_topic: MakeTopic, opened: MakeWriter) -> None:
        """In each partition asked for, and no other; and the tail can be read as far."""
        topic = make_topic(3)
        write(opened(f"{topic}-other"), topic, [b"1", b"2"])
        writer = opened(topic)
        ends = writer.confirmed_ends([(topic, 0), (topic, 2)])
        assert set(ends) == {(topic, 0), (topic, 2)}
        assert ends[topic, 0] >= 3
        assert ends[topic, 2] >= 1
        for (name, partition), end in ends.items():
            assert world.log.high_watermark(name, partition) >= end
        assert values(world.log.tail(topic, 0, 5, reaching=ends[topic, 0])) == [b"1", b"2"]

    def test_nothing_is_seen_of_it(self, topic: str, opened: MakeWriter, whole: MakeList) -> None:
        """Readers are shown nothing of it, nothing stays open, and the writer goes on."""
        writer = opened(topic)
        for value in (b"1", b"2"):
            writer.confirmed_ends([(topic, 0)])
            write(writer, topic, [value])
        assert writer.confirmed_ends([]) == {}
        assert values(whole(topic)) == [b"1", b"2"]

    def test_a_compacted_topic(self, world: World, name: str, opened: MakeWriter) -> None:
        """Which refuses records without a key."""
        world.log.ensure_topics([TopicSpec(name, 1, compacted=True)])
        writer = opened(name)
        assert writer.confirmed_ends([(name, 0)])[name, 0] >= 1
        assert world.log.tail(name, 0, 5) == []

    def test_a_fenced_writer_confirms_nothing(self, topic: str, opened: MakeWriter) -> None:
        """It is told so, and nothing else: what it would read is not final."""
        older = opened(topic)
        write(opened(topic), topic, [b"1"])
        with pytest.raises(FencedError):
            older.confirmed_ends([(topic, 0)])

    def test_a_partition_that_is_not_there(self, topic: str, opened: MakeWriter) -> None:
        """Nobody confirms its end."""
        with pytest.raises(LogUnavailableError):
            opened(topic).confirmed_ends([(topic, 0), (topic, 7)])


class TestTail:
    def test_the_last_records_in_order(self, world: World, topic: str, opened: MakeWriter) -> None:
        """As many as asked for, or all, oldest first; control records do not count."""
        assert world.log.tail(topic, 0, 3) == []
        writer = opened(topic)
        for number in range(4):
            write(writer, topic, [b"%d" % number])
        assert values(world.log.tail(topic, 0, 3)) == [b"1", b"2", b"3"]
        assert values(world.log.tail(topic, 0, 1 << 40)) == [b"0", b"1", b"2", b"3"]
        assert world.log.tail(topic, 0, 0) == []

    def test_tail_since(self, world: World, topic: str, opened: MakeWriter) -> None:
        """Nothing below an offset is returned, whatever stands there: a record, or a transaction's end."""
        writer = opened(topic)
        for number in range(4):
            write(writer, topic, [b"%d" % number])
        whole = world.log.tail(topic, 0, 1 << 40)
        end = world.log.high_watermark(topic, 0)
        for since in range(end + 2):
            wanted = [record for record in whole if record.offset >= since]
            assert world.log.tail(topic, 0, 1 << 40, since) == wanted
            assert world.log.tail(topic, 0, 2, since) == wanted[-2:]

    def test_far_back_behind_aborted_records(self, world: World, topic: str, opened: MakeWriter) -> None:
        """Thousands of aborted records do not hide what came before them, nor double what came after."""
        writer = opened(topic)
        write(writer, topic, [b"1", b"2"])
        begin(writer, topic, [b"lost"] * 3_000)
        reached(world.log, topic, 3_003)
        writer.abort()
        assert values(world.log.tail(topic, 0, 1)) == [b"2"]
        assert values(world.log.tail(topic, 0, 3)) == [b"1", b"2"]
        write(writer, topic, [b"3"])
        assert values(world.log.tail(topic, 0, 2)) == [b"2", b"3"]
        assert values(world.log.tail(topic, 0, 4)) == [b"1", b"2", b"3"]

    def test_nothing_but_aborted_records(self, world: World, topic: str, opened: MakeWriter) -> None:
        """There is no last record, and tail does not wait for one."""
        writer = opened(topic)
        begin(writer, topic, [b"lost"])
        reached(world.log, topic, 1)
        writer.abort()
        assert world.log.tail(topic, 0, 1) == []

    def test_from_the_log_start(self, world: World, topic: str) -> None:
        """What has been deleted is not looked for."""
        for number in range(5):
            world.publish(topic, 0, b"%d" % number)
        world.delete_records(topic, 0, 4)
        assert values(world.log.tail(topic, 0, 3)) == [b"4"]

    def test_as_far_as_is_known(self, world: World, topic: str, opened: MakeWriter) -> None:
        """What the end is known to have come to is read, and a log that does not reach it is not believed."""
        writer = opened(topic)
        write(writer, topic, [b"1", b"2"])
        end = 3
        until(lambda: world.log.high_watermark(topic, 0) == end, "the control record")
        for reaching in (0, 1, end):
            assert values(world.log.tail(topic, 0, 5, reaching=reaching)) == [b"1", b"2"]
        with pytest.raises(LogUnavailableError, match=str(end + 1)):
            world.log.tail(topic, 0, 5, reaching=end + 1)
        with pytest.raises(LogUnavailableError, match=str(end + 1)):
            world.log.tail(topic, 0, 5, since=end, reaching=end + 1)

    def test_final_after_fencing(self, world: World, topic: str, opened: MakeWriter) -> None:
        """What a fenced writer had not committed is in no tail, now or later."""
        older = opened(topic)
        write(older, topic, [b"1"])
        begin(older, topic, [b"lost"])
        reached(world.log, topic, 3)
        opened(topic)
        tail = world.log.tail(topic, 0, 5)
        with pytest.raises(FencedError):
            older.commit({}, "unused")
        assert values(tail) == [b"1"]
        assert world.log.tail(topic, 0, 5) == tail
