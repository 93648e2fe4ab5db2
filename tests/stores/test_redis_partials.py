"""What only a real Redis can get wrong: restarts, lost data, refusals."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from riverrun.adapters.redis_partials import RedisPartials
from riverrun.errors import AccessDeniedError, SettingsError, UnavailableError
from riverrun.runtime.ports import PartialEntry
from tests.stores.redis_server import RedisServer

ENTRY = PartialEntry("JFK", 7, b"seven")


@pytest.fixture
def store(redis_server: RedisServer) -> Iterator[RedisPartials]:
    partials = RedisPartials.connect(redis_server.url, "flight-delay")
    yield partials
    partials.close()


def test_a_restarted_server_is_used_again(redis_server: RedisServer, store: RedisPartials) -> None:
    """While it is away every call says so; when it is back, without its functions, the same object works
    on.
    """
    store.put(0, "g", [ENTRY])
    redis_server.stop()
    with pytest.raises(UnavailableError, match="cannot be reached"):
        store.put(0, "g", [ENTRY])
    with pytest.raises(UnavailableError, match="cannot be reached"):
        list(store.scan(0, "g"))
    redis_server.start()
    assert store.marker(0) is None
    assert store.put(0, "g", [ENTRY]) == 1


def test_lost_functions_are_loaded_again(redis_server: RedisServer, store: RedisPartials) -> None:
    """A call of several chunks that finds no function returns what it would have returned."""
    entries = [PartialEntry(str(number), 1, b"") for number in range(1_200)]
    store.put(0, "g", entries[:600])
    with redis_server.client() as client:
        client.function_flush()
    assert store.put(0, "g", entries) == 600


def test_a_wiped_server_is_noticed(redis_server: RedisServer, store: RedisPartials) -> None:
    """After FLUSHALL the marker is gone, so ``mark`` tells that everything must be written again."""
    store.put(0, "g", [ENTRY])
    store.reset(0, 7)
    redis_server.wipe()
    store.put(0, "g", [PartialEntry("LGA", 8, b"eight")])
    assert not store.mark(0, 8)
    store.put(0, "g", [ENTRY, PartialEntry("LGA", 8, b"eight")])
    store.reset(0, 8)
    assert store.mark(0, 9)
    assert len(list(store.scan(0, "g"))) == 2


@pytest.mark.parametrize("seen_by", ["mark", "marker", "reset"])
def test_a_marker_set_back_is_noticed(redis_server: RedisServer, store: RedisPartials, seen_by: str) -> None:
    """A server that came back with an older snapshot has a marker, yet what was written since is lost."""
    store.reset(0, 9 if seen_by == "reset" else 1)
    if seen_by == "mark":
        assert store.mark(0, 9)
    with redis_server.client() as client:
        if seen_by == "marker":
            client.set("riverrun:{flight-delay:0}:marker", 9)
            assert store.marker(0) == 9
        client.set("riverrun:{flight-delay:0}:marker", 5)
    assert not store.mark(0, 10)
    store.reset(0, 10)
    assert store.mark(0, 10)


def test_a_replaced_members_reset_is_noticed(redis_server: RedisServer, store: RedisPartials) -> None:
    """A paused member that comes back and sets the marker back costs a rewrite, never a wrong answer."""
    store.reset(0, 9)
    zombie = RedisPartials.connect(redis_server.url, "flight-delay")
    zombie.reset(0, 4)
    zombie.close()
    assert not store.mark(0, 10)


def test_pipelines_and_partitions_are_apart(redis_server: RedisServer, store: RedisPartials) -> None:
    """Keys carry the pipeline and the partition, in one hash tag."""
    other = RedisPartials.connect(redis_server.url, "fraud")
    store.put(3, "origin|carrier", [ENTRY])
    store.reset(3, 7)
    assert other.marker(3) is None
    assert list(other.scan(3, "origin|carrier")) == []
    with redis_server.client() as client:
        assert sorted(client.keys()) == [
            b"riverrun:{flight-delay:3}:g:origin|carrier",
            b"riverrun:{flight-delay:3}:marker",
            b"riverrun:{flight-delay:3}:word",
        ]
    other.close()


def test_full_memory_is_told(redis_server: RedisServer, store: RedisPartials) -> None:
    """A server that is out of memory is unavailable, with advice; afterwards the same write goes through."""
    store.check()
    with redis_server.client() as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(UnavailableError, match="out of memory") as caught:
            store.put(0, "g", [ENTRY])
        assert "maxmemory" in caught.value.hint
        client.config_set("maxmemory", 0)
    assert store.put(0, "g", [ENTRY]) == 1


def test_a_write_whose_answer_was_lost_is_no_loss(redis_server: RedisServer, store: RedisPartials) -> None:
    """After a failure nobody knows whether the word was left; either way nothing need be written anew."""
    store.reset(0, 1)
    store.put(0, "g", [ENTRY])
    with redis_server.client() as client:
        client.set("riverrun:{flight-delay:0}:g:h", "mine")
        with pytest.raises(UnavailableError, match="WRONGTYPE"):
            # The put fails, and the word is left all the same.
            store.put(0, "h", [ENTRY])
        client.delete("riverrun:{flight-delay:0}:g:h")
    store.put(0, "h", [ENTRY])
    assert store.mark(0, 8)


def test_a_replica_is_told(redis_server: RedisServer, store: RedisPartials) -> None:
    """After a failover the old primary refuses writes; that passes."""
    store.put(0, "g", [ENTRY])
    with redis_server.client() as client:
        client.replicaof("127.0.0.1", "1")
        with pytest.raises(UnavailableError, match="read-only"):
            store.put(0, "g", [PartialEntry("JFK", 8, b"eight")])
        client.replicaof("NO", "ONE")


def test_foreign_data_is_told(redis_server: RedisServer, store: RedisPartials) -> None:
    """A key of another type is reported in the server's words."""
    with redis_server.client() as client:
        client.set("riverrun:{flight-delay:0}:g:g", "mine")
    with pytest.raises(UnavailableError, match="WRONGTYPE"):
        store.put(0, "g", [ENTRY])


def test_a_server_that_evicts_is_refused(redis_server: RedisServer, store: RedisPartials) -> None:
    """With a limit and an allkeys policy partials would vanish one by one."""
    with redis_server.client() as client:
        client.config_set("maxmemory", 10**9)
        client.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(SettingsError, match="evicts") as caught:
            store.put(0, "g", [ENTRY])
        assert "noeviction" in caught.value.hint
        client.config_set("maxmemory-policy", "volatile-lru")
    store.check()


def test_a_server_that_might_evict_is_warned_of(
    redis_server: RedisServer, store: RedisPartials, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a limit the policy does nothing yet."""
    with redis_server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    with caplog.at_level(logging.WARNING):
        store.check()
    assert "noeviction" in caplog.text


def test_passwords_are_never_told(redis_server: RedisServer) -> None:
    """Neither a refused nor a malformed URL appears in a message or in what caused it."""
    port = redis_server.port
    refused = RedisPartials.connect(f"redis://user:s3cret@127.0.0.1:{port}", "p")
    with pytest.raises(AccessDeniedError) as caught:
        refused.check()
    told: BaseException | None = caught.value
    assert "credentials" in str(told)
    while told is not None:
        assert "s3cret" not in repr(told)
        told = told.__cause__
    for url in (
        f"redis://user:s3cret@127.0.0.1:{port}s3cret",
        "http://user:s3cret@host",
        "redis://h?socket_timeout=s3cret",
    ):
        with pytest.raises(SettingsError) as malformed:
            RedisPartials.connect(url, "p")
        assert "s3cret" not in repr(malformed.value)
        assert malformed.value.__cause__ is None


def test_a_user_without_permission_is_told_what_is_needed(redis_server: RedisServer) -> None:
    """The message names the commands to allow."""
    with redis_server.client() as client:
        client.acl_setuser("limited", enabled=True, passwords=["+pw"], commands=["+info", "+hget"], keys=["*"])
    limited = RedisPartials.connect(f"redis://limited:pw@127.0.0.1:{redis_server.port}", "p")
    with pytest.raises(SettingsError) as caught:
        limited.put(0, "g", [ENTRY])
    assert "function|load" in caught.value.hint
    limited.close()


def test_a_brace_in_the_name_is_refused() -> None:
    """It would break the hash tag."""
    with pytest.raises(SettingsError, match="brace"):
        RedisPartials.connect("redis://localhost", "a{b}")
