"""The life of the embedded servers, on real ones: nothing lost, never two, nothing left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from riverrun.embedded import EmbeddedKafka, EmbeddedRedis, RedisSettings
from riverrun.embedded.ports import is_free
from riverrun.embedded.process import Process, ProcessId
from riverrun.embedded.run_record import RunRecord
from riverrun.errors import UnavailableError

TOPIC = "kept"


def silent(line: str) -> None:
    """Progress is not what these tests look at."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of the test's own, running: the cheapest server with the life that all have."""
    with EmbeddedRedis(tmp_path, announce=silent) as running:
        yield running


def write(broker: EmbeddedKafka, value: bytes) -> None:
    producer = Producer({**broker.client_properties, "log_level": 0})
    producer.produce(TOPIC, value)
    assert producer.flush(20) == 0


def read(broker: EmbeddedKafka, count: int) -> list[bytes]:
    consumer = Consumer({**broker.client_properties, "group.id": "reader", "log_level": 0})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    messages = consumer.consume(count, timeout=20)
    consumer.close()
    return [message.value() or b"" for message in messages]


def test_kafka_keeps_all_through_stop_and_kill(tmp_path: Path) -> None:
    """Records, cluster id and address survive an orderly stop and a SIGKILL alike."""
    broker = EmbeddedKafka(tmp_path, announce=silent).start()
    first_id, first_address = broker.cluster_id, broker.bootstrap
    admin = AdminClient(dict(broker.client_properties))
    admin.create_topics([NewTopic(TOPIC, num_partitions=1)])[TOPIC].result()
    write(broker, b"before the stop")
    broker.stop()
    assert not broker.running

    with EmbeddedKafka(tmp_path, announce=silent) as again:
        assert (again.cluster_id, again.bootstrap) == (first_id, first_address)
        write(again, b"before the kill")
        again.kill()
        assert not again.running
        again.start()
        assert (again.cluster_id, again.bootstrap) == (first_id, first_address)
        assert read(again, 2) == [b"before the stop", b"before the kill"]
    assert is_free(int(first_address.partition(":")[2]))


def test_redis_keeps_all_through_stop_and_kill(server: EmbeddedRedis, tmp_path: Path) -> None:
    """Keys and address survive an orderly stop and a SIGKILL alike, and nothing may be evicted."""
    url = server.url
    client = redis.Redis.from_url(url)
    client.set("stop", "kept")
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    server.stop()
    again = EmbeddedRedis(tmp_path, announce=silent).start()
    assert again.url == url
    client.set("kill", "kept")
    again.kill()
    again.start()
    assert again.url == url
    assert client.mget("stop", "kill") == [b"kept", b"kept"]
    client.close()
    again.stop()


def test_a_second_start_shares_the_running_server(server: EmbeddedRedis, tmp_path: Path) -> None:
    """Whoever comes second gets the same process, and lets it go on when done."""
    with EmbeddedRedis(tmp_path, announce=silent) as second:
        assert (second.pid, second.url) == (server.pid, server.url)
        assert not second.owned
    assert server.running
    second.find()
    second.stop(shared=True)
    assert not server.running


def test_racing_starters_make_one_server(tmp_path: Path) -> None:
    """Of many that start in one folder at once, exactly one owns the server and all use it."""
    racers = [EmbeddedRedis(tmp_path, announce=silent) for _ in range(6)]
    with ThreadPoolExecutor(len(racers)) as pool:
        list(pool.map(EmbeddedRedis.start, racers))
    assert len({racer.pid for racer in racers}) == 1
    assert [racer.owned for racer in racers].count(True) == 1
    for racer in racers:
        racer.stop()
    assert not any(racer.running for racer in racers)


def test_find_starts_nothing(server: EmbeddedRedis, tmp_path: Path) -> None:
    """Looking finds a server that runs, and leaves a folder without one alone."""
    other = EmbeddedRedis(tmp_path, announce=silent)
    assert other.find()
    assert other.url == server.url
    server.stop()
    assert not EmbeddedRedis(tmp_path, announce=silent).find()
    assert not EmbeddedRedis(tmp_path / "nowhere", announce=silent).find()


def test_a_stale_record_never_points_at_a_stranger(tmp_path: Path) -> None:
    """A process id that now belongs to somebody else is neither shared nor ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        RunRecord(server=ProcessId(stranger.pid, "long ago"), owner=ProcessId.current()).write(tmp_path)
        with EmbeddedRedis(tmp_path, announce=silent) as started:
            assert started.owned
            assert started.pid != stranger.pid
        assert stranger.poll() is None
        stranger.communicate(b"\n")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"server": 1}'])
def test_an_unreadable_record_counts_as_none(tmp_path: Path, content: str) -> None:
    """Whatever a crash left in run.json, the folder is as usable as an empty one."""
    (tmp_path / "run.json").write_text(content, encoding="utf-8")
    assert RunRecord.read(tmp_path) == RunRecord()


def test_a_paused_server_answers_again_when_resumed(server: EmbeddedRedis, tmp_path: Path) -> None:
    """Pausing freezes without ending; a paused server can still be stopped in order."""
    client = redis.Redis.from_url(server.url, socket_timeout=0.2, retry=None)
    client.set("key", "value")
    server.pause()
    with pytest.raises(redis.TimeoutError):
        client.get("key")
    server.resume()
    assert client.get("key") == b"value"
    client.close()
    server.pause()
    server.stop()
    with EmbeddedRedis(tmp_path, announce=silent) as again, redis.Redis.from_url(again.url) as reader:
        assert reader.get("key") == b"value"


def test_a_taken_port_is_replaced(server: EmbeddedRedis, tmp_path: Path) -> None:
    """When somebody else has the port of the last run, another one is taken, and the data is there."""
    port = server.ports[0]
    with redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
    server.stop()
    with (
        socket.create_server(("127.0.0.1", port)),
        EmbeddedRedis(tmp_path, announce=silent) as again,
        redis.Redis.from_url(again.url) as client,
    ):
        assert again.ports[0] != port
        assert client.get("key") == b"value"


OWNER = """
import sys, time
from pathlib import Path
from riverrun.embedded import EmbeddedRedis, RedisSettings
settings = RedisSettings(die_with_parent=sys.argv[2] == "dies")
print(EmbeddedRedis(Path(sys.argv[1]), settings, announce=lambda line: None).start().pid, flush=True)
input()
"""


def start_owner(folder: Path, how: str) -> tuple[subprocess.Popen[str], ProcessId]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert owner.stdout is not None
    return owner, ProcessId.of(int(owner.stdout.readline()))


def test_nothing_is_left_behind_by_a_clean_exit(tmp_path: Path) -> None:
    """A program that ends without stopping its server leaves no process."""
    owner, server = start_owner(tmp_path, "dies")
    assert server.alive
    owner.communicate("\n")
    assert not server.alive


def test_nothing_is_left_behind_by_a_killed_owner(tmp_path: Path) -> None:
    """When the program is killed its server ends (by the kernel on Linux, else by the next start)."""
    owner, server = start_owner(tmp_path, "dies")
    owner.kill()
    owner.communicate()
    with EmbeddedRedis(tmp_path, announce=silent) as next_one:
        assert next_one.owned
        assert next_one.pid != server.pid
    assert Process(server).wait(10)


def test_a_lasting_server_outlives_its_owner(tmp_path: Path) -> None:
    """A server that was asked to stay is found by the next program, which leaves it running too."""
    owner, server = start_owner(tmp_path, "lasts")
    owner.communicate("\n")
    with EmbeddedRedis(tmp_path, RedisSettings(die_with_parent=False), announce=silent) as next_one:
        assert next_one.pid == server.pid
    assert server.alive
    next_one.find()
    next_one.stop(shared=True)
    assert not server.alive


def test_a_missing_redis_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without redis-server the error says which package to install or which setting to use."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"apt-get install redis-server.*RIVERRUN_REDIS"):
        EmbeddedRedis(tmp_path / "data", announce=silent).start()


def test_a_missing_maven_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without mvn and with an empty cache the error says what to install, and leaves no half cache."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("RIVERRUN_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UnavailableError, match=r"mvn is not on the PATH.*install maven.*RIVERRUN_KAFKA"):
        EmbeddedKafka(tmp_path / "data", announce=silent).start()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_server_that_does_not_start_quotes_its_log(tmp_path: Path) -> None:
    """What the server itself said about its failure is in the error, and no process or record stays."""
    (tmp_path / "data" / "appendonlydir").mkdir(parents=True)
    (tmp_path / "data" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense", encoding="utf-8")
    server = EmbeddedRedis(tmp_path, announce=silent)
    with pytest.raises(UnavailableError, match="manifest"):
        server.start()
    assert not server.running
    assert not RunRecord.read(tmp_path).server.alive
