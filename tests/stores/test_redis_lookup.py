"""Point look-ups in an event loop, on a real Redis: right replies to the right callers, whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.adapters.redis_lookup import RedisLookup
from riverrun.adapters.redis_partials import RedisPartials
from riverrun.adapters.redis_replies import Replies, Reply
from riverrun.errors import SettingsError, UnavailableError
from riverrun.runtime.ports import PartialEntry
from tests.stores.redis_server import RedisServer


class Place(NamedTuple):
    """Where a partial is stored."""

    partition: int
    group: str
    entity: str


def _stored(server: RedisServer) -> None:
    store = RedisPartials.connect(server.url, "p")
    for partition in (0, 1):
        entries = [PartialEntry(f"e{n}", n + partition, b"\r\n$%d\r\n" % n * n) for n in range(100)]
        store.put(partition, "group é", entries)
    store.close()


def _expected(place: Place) -> PartialEntry | None:
    number = int(place.entity[1:])
    return (
        None if number > 99 else PartialEntry(place.entity, number + place.partition, b"\r\n$%d\r\n" % number * number)
    )


def test_every_caller_gets_its_own_replies(redis_server: RedisServer) -> None:
    """Many callers share one connection; each gets what is stored at its places, in order, None where nothing is."""
    _stored(redis_server)

    async def run() -> None:
        lookup = RedisLookup(redis_server.url, "p")
        asked = [[Place(n % 2, "group é", f"e{(n * 7 + m) % 110}") for m in range(n % 5)] for n in range(300)]
        for places, found in zip(asked, await asyncio.gather(*map(lookup.read, asked)), strict=True):
            assert found == [_expected(place) for place in places]
        lookup.close()
        with redis_server.client() as client:
            assert int(client.info("clients")["connected_clients"]) <= 2

    asyncio.run(run())


def test_a_cancelled_callers_replies_go_to_nobody(redis_server: RedisServer) -> None:
    """Callers that go away keep their place in the order: nobody is given their replies."""
    _stored(redis_server)

    async def run() -> None:
        lookup = RedisLookup(redis_server.url, "p")
        await lookup.check()
        for turn in range(50):
            places = [[Place(0, "group é", f"e{n}")] for n in range(turn % 7 + 1, 60)]
            tasks = [asyncio.create_task(lookup.read(each)) for each in places]
            await asyncio.sleep(0)
            for task in tasks[::3]:
                task.cancel()
            for number, (task, each) in enumerate(zip(tasks, places, strict=True)):
                if number % 3 == 0:
                    with suppress(asyncio.CancelledError):
                        await task
                else:
                    assert await task == [_expected(each[0])]
        lookup.close()

    asyncio.run(run())


def test_it_comes_back_when_the_server_does(tmp_path: Path) -> None:
    """While the server is away callers are told so, soon; when it is back, look-ups go on."""
    server = RedisServer(tmp_path)
    server.start()

    async def run() -> None:
        lookup = RedisLookup(server.url, "p", timeout_s=0.5)
        place = [Place(0, "g", "e1")]
        assert await lookup.read(place) == [None]
        server.stop()
        for _ in range(3):
            with pytest.raises(UnavailableError):
                await lookup.read(place)
        server.start()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 20
        found: Sequence[PartialEntry | None] = ()
        while not found and loop.time() < deadline:
            with suppress(UnavailableError):
                found = await lookup.read(place)
            await asyncio.sleep(0.05)
        assert found == [None]
        lookup.close()

    try:
        asyncio.run(run())
    finally:
        server.stop()


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    """Callers of a server that accepts and never answers are told after the time limit, all of them."""

    async def run() -> None:
        writers: list[asyncio.StreamWriter] = []
        server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        lookup = RedisLookup(f"redis://127.0.0.1:{port}", "p", timeout_s=0.1)
        asked = [lookup.read([Place(0, "g", "e1")]) for _ in range(5)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(each, UnavailableError) for each in found)
        lookup.close()
        for writer in writers:
            writer.close()
        server.close()

    asyncio.run(run())


def test_credentials_and_database(redis_server: RedisServer) -> None:
    """User, password and database of the URL are used; wrong ones are told without being shown."""
    with redis_server.client() as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", ">s3cret", "~riverrun:*", "+hget", "+select", "+ping")
    good = f"redis://reader:s3cret@127.0.0.1:{redis_server.port}/3"

    async def run() -> None:
        lookup = RedisLookup(good, "p")
        assert await lookup.read([Place(0, "g", "e1")]) == [None]
        lookup.close()
        wrong = RedisLookup(good.replace("s3cret", "wr0ng"), "p")
        with pytest.raises(UnavailableError) as caught:
            await wrong.read([Place(0, "g", "e1")])
        assert "wr0ng" not in str(caught.value)
        wrong.close()

    asyncio.run(run())
    with pytest.raises(SettingsError):
        RedisLookup("http://s3cret@host", "p")


def test_a_refusal_concerns_one_caller(redis_server: RedisServer) -> None:
    """A user that may not read some keys is refused these, and given the others."""
    _stored(redis_server)
    with redis_server.client() as client:
        client.execute_command("ACL", "SETUSER", "half", "on", ">s3cret", "~riverrun:{p:0}:*", "+hget")

    async def run() -> None:
        lookup = RedisLookup(f"redis://half:s3cret@127.0.0.1:{redis_server.port}", "p")
        asked = [lookup.read([Place(n % 2, "group é", "e5")]) for n in range(6)]
        for number, found in enumerate(await asyncio.gather(*asked, return_exceptions=True)):
            if number % 2:
                assert isinstance(found, UnavailableError)
                assert "NOPERM" in str(found)
            else:
                assert found == [_expected(Place(0, "group é", "e5"))]
        lookup.close()

    asyncio.run(run())


_REPLIES = st.one_of(st.none(), st.binary(max_size=40))


@given(replies=st.lists(_REPLIES, max_size=12), cuts=st.lists(st.integers(0, 600), max_size=12))
def test_replies_are_read_however_they_are_cut(replies: list[bytes | None], cuts: list[int]) -> None:
    """The same replies come out wherever the network cuts the bytes."""
    sent = b"".join(b"$-1\r\n" if each is None else b"$%d\r\n%b\r\n" % (len(each), each) for each in replies)
    reader, found, at = Replies(), list[Reply](), 0
    for cut in [*sorted(min(cut, len(sent)) for cut in cuts), len(sent)]:
        found += reader.feed(sent[at:cut])
        at = cut
    assert found == replies


@pytest.mark.parametrize("strange", [b"HTTP/1.1 400 Bad Request\r\n", b"$x\r\n", b"$999999999999\r\n", b"$" * 5_000])
def test_what_is_no_redis_is_told(strange: bytes) -> None:
    """Bytes that no Redis sends end the connection with an error."""
    with pytest.raises(UnavailableError, match="is it a Redis"):
        Replies().feed(strange)
