"""Health: alive, ready, and in words what is degraded; told by HTTP to whoever asks."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from riverrun.errors import SettingsError
from riverrun.runtime.degradations import Degradation
from riverrun.telemetry.endpoint import HealthEndpoint
from riverrun.telemetry.health import Health, HealthWatch, Report
from riverrun.telemetry.settings import HealthSettings
from riverrun.testing.memory_failures import Failure
from tests.runtime.worlds import ALL_IN_ONE, MemoryWorld, messages
from tests.telemetry.worlds import Watched, ask, watched

PLACE = f"{ALL_IN_ONE}[0]"


@pytest.fixture
def member(memory: MemoryWorld) -> Iterator[Watched]:
    """A member that has folded a little."""
    memory.publish(messages(20))
    made = watched(memory)
    memory.settle(made.worker)
    yield made
    made.worker.leave()


def health_of(member: Watched) -> Health:
    return Health(*member)


def degraded(report: Report) -> list[dict[str, str]]:
    """Return what a report says is degraded."""
    found = report.document["degraded"]
    assert isinstance(found, list)
    return found


def test_a_service_that_does_all_it_should_is_ready(member: Watched) -> None:
    """It is alive and ready, and tells its pipeline, its chains and their partitions."""
    report = health_of(member).ready()
    assert report.well
    assert report.document == {
        "ready": True,
        "state": "ready",
        "pipeline": member.deployment.pipeline.name,
        "chains": {ALL_IN_ONE: [0]},
        "degraded": [],
    }
    assert health_of(member).live() == Report(well=True, document={"live": True})


def test_a_degraded_service_is_alive_and_not_ready(memory: MemoryWorld, member: Watched) -> None:
    """With Redis away the answer names what, where, since when, why, what still works, and what to do."""
    memory.store.available = False
    memory.settle(member.worker)
    report = health_of(member).ready()
    assert (report.well, report.document["ready"], report.document["state"]) == (False, False, "degraded")
    (found,) = degraded(report)
    assert (found["what"], found["where"]) == ("redis_away", PLACE)
    assert found["since"].startswith("2023-11-14T22:1")
    assert found["since"].endswith("+00:00")
    assert "told to be unavailable" in found["why"]
    assert found["means"] == Degradation.REDIS_AWAY.explanation
    assert found["still"].startswith("Predictions go on")
    assert found["advice"]
    assert health_of(member).live().well
    memory.store.available = True
    memory.settle(member.worker)
    assert health_of(member).ready().well


def test_a_service_that_has_not_joined_is_starting(memory: MemoryWorld, member: Watched) -> None:
    """Before its groups are joined, and after it has ended, it is not ready."""
    other = watched(memory)
    other.worker.leave()
    assert health_of(other).ready().document["state"] == "starting"
    other.worker.ended = True
    report = health_of(other).ready()
    assert (report.well, report.document["state"]) == (False, "ended")
    assert not health_of(other).live().well


def test_kafka_away_is_found_while_the_worker_idles(memory: MemoryWorld, member: Watched) -> None:
    """The watch asks Kafka itself: an outage is told though nothing is to be committed, and so is its end."""
    health = health_of(member)
    watch = HealthWatch(health, *member)
    watch.look()
    assert health.ready().well
    memory.memory.fail_next(Failure.LOOK_UP)
    watch.look()
    (found,) = degraded(health.ready())
    assert (found["what"], found["where"]) == ("kafka_away", "")
    watch.look()
    assert health.ready().well


def test_a_worker_that_does_not_come_round_is_stalled(memory: MemoryWorld, member: Watched) -> None:
    """After ten seconds in one call it is stalled, with the step named; after minutes, if Kafka answers, not alive."""
    health = health_of(member)
    watch = HealthWatch(health, *member)
    memory.memory.advance(9_000)
    watch.look()
    assert health.ready().well
    memory.memory.advance(2_000)
    watch.look()
    (found,) = degraded(health.ready())
    assert found["what"] == "stalled"
    assert f"{PLACE} is {member.worker.tasks()[0].step}" in found["why"]
    assert health.live().well
    memory.memory.advance(300_000)
    assert not health.live().well
    memory.memory.fail_next(Failure.LOOK_UP)
    watch.look()
    assert health.live().well
    member.worker.round()
    watch.look()
    assert health.ready().well


def test_a_task_says_what_it_does(memory: MemoryWorld, member: Watched) -> None:
    """The step is that in which the worker would be found if a call of it did not return."""
    (task,) = member.worker.tasks()
    seen = []
    reach = member.worker._deployment.reach

    def note(point: object) -> None:
        seen.append((str(point), task.step))

    object.__setattr__(member.worker._deployment, "reach", note)
    memory.publish(messages(20)[:9])
    memory.settle(member.worker)
    object.__setattr__(member.worker._deployment, "reach", reach)
    steps = dict(seen)
    assert steps["before-commit"] == steps["after-commit"] == "committing"
    assert steps["before-state"] == "writing state"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes what a test opens."""
    with ExitStack() as opened:
        yield opened


class Told:
    """What an endpoint tells in a test."""

    def __init__(self) -> None:
        self.well = True

    def report(self) -> Report:
        return Report(self.well, {"ready": self.well, "who": "Zürich"})

    def metrics(self) -> str:
        return "riverrun_x 1\n"


def serve(stack: ExitStack, told: Told, settings: HealthSettings | None = None) -> str:
    """Start an endpoint; return its URL."""
    endpoint = HealthEndpoint(settings or HealthSettings(0), told.report, told.report, told.metrics)
    endpoint.start()
    stack.callback(endpoint.close)
    return endpoint.url


def test_the_endpoint_answers(stack: ExitStack) -> None:
    """Health is JSON with 200 or 503, metrics are text, anything else is 404 and names what there is."""
    told = Told()
    url = serve(stack, told)
    for path in ("/health/live", "/health/ready", "/health/ready?verbose=1"):
        told.well = True
        answer = ask(url + path)
        assert (answer.status, answer.document["who"]) == (200, "Zürich")
        assert answer.headers["Content-Type"] == "application/json"
        told.well = False
        assert (ask(url + path).status, ask(url + path).document["ready"]) == (503, False)
    metrics = ask(f"{url}/metrics")
    assert (metrics.status, metrics.body) == (200, b"riverrun_x 1\n")
    assert metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    missing = ask(f"{url}/etc/passwd")
    assert (missing.status, missing.document["paths"]) == (404, ["/health/live", "/health/ready", "/metrics"])
    head = ask(f"{url}/metrics", "HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "13")
    refused = ask(f"{url}/metrics", "DELETE")
    assert (refused.status, refused.headers["Allow"], refused.document) == (
        405,
        "GET, HEAD",
        {"error": "this is read by GET and HEAD"},
    )


GET = b"GET /metrics HTTP/1.1\r\n"
HOST = b"Host: a\r\n"
HEADS = {
    "no request": (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
    "a line without a version": (b"GET /metrics\r\n\r\n", 400),
    "a version that is none": (b"GET /metrics HTTP/x\r\n\r\n", 400),
    "an old version": (b"GET /metrics HTTP/0.9\r\n" + HOST + b"\r\n", 400),
    "a new version": (b"GET /metrics HTTP/2.0\r\n" + HOST + b"\r\n", 400),
    "a path with a space": (b"GET /met rics HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a path in no ASCII": (b"GET /metrics\xff HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "no host": (GET + b"\r\n", 400),
    "two hosts": (GET + HOST + HOST + b"\r\n", 400),
    "no colon": (GET + HOST + b"no colon\r\n\r\n", 400),
    "a space before the colon": (GET + HOST + b"X : a\r\n\r\n", 400),
    "a folded line": (GET + HOST + b"X: a\r\n b\r\n\r\n", 400),
    "a NUL": (GET + HOST + b"X: \0\r\n\r\n", 400),
    "a carriage return alone": (GET + HOST + b"X: a\rb\r\n\r\n", 400),
    "a line feed alone": (GET + HOST + b"X: a\nY: b\r\n\r\n", 400),
    "line feeds for line ends": (b"GET /metrics HTTP/1.1\nHost: a\n\n", 400),
    "a line feed at the end": (GET + b"Host: a\n\r\n", 400),
    "a length that is none": (GET + HOST + b"Content-Length: 5x\r\n\r\n", 400),
    "a length without end": (GET + HOST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", 400),
    "two lengths": (GET + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "a coding that nobody knows": (GET + HOST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    "a coding and a length": (GET + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400),
    "another method": (b"POST /metrics HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "no method that is known": (b"BREW /metrics HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "a path in another writing": (b"GET //metrics HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a long path": (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 431),
    "a path without end": (b"GET /" + b"a" * 400_000, 431),
    "a long header": (GET + HOST + b"X: " + b"a" * 40_000 + b"\r\n\r\n", 431),
    "many headers": (GET + HOST + b"A: b\r\n" * 10_000 + b"\r\n", 431),
}


def test_what_is_no_request_is_refused(stack: ExitStack) -> None:
    """Each gets a status line with a 4xx and a JSON document, never metrics, a page in HTML or nothing."""
    url = serve(stack, Told())
    for what, (sent, status) in HEADS.items():
        head, _, body = talk(url, sent).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.0 %d " % status), (what, head)
        assert b"Content-Type: application/json" in head, what
        assert json.loads(body)["error"], what


def test_a_request_that_is_cut_short_gets_no_metrics(stack: ExitStack) -> None:
    """Whoever hangs up in the middle of a head has asked for nothing; a head may come in pieces."""
    url = serve(stack, Told())
    for sent in (b"GE", GET, GET + HOST):
        assert talk(url, sent, ends=True) == b""
    assert talk(url, GET + b"Host:  a \r\nX-Empty:\r\n\r\n").startswith(b"HTTP/1.0 200 ")
    assert talk(url, b"GET http://a/metrics?x=1 HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200 ")
    for framing in (b"Content-Length: 2\r\n", b"Transfer-Encoding: Chunked\r\n"):
        # What a request holds beside is read by nobody.
        assert talk(url, GET + HOST + framing + b"\r\n{}").startswith(b"HTTP/1.0 200 ")


def talk(url: str, sent: bytes, *, ends: bool = False) -> bytes:
    """Send bytes, and say that no more come if so; return all that is answered."""
    received = b""
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20) as line:
        # It may be refused before it was all sent.
        with suppress(ConnectionError):
            line.sendall(sent)
        if ends:
            line.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while part := line.recv(65_536):
                received += part
    return received


def test_the_endpoint_tells_no_versions_and_only_this_machine(stack: ExitStack) -> None:
    """By default it listens on loopback only, and its headers say nothing of Python."""
    url = serve(stack, Told())
    assert url.startswith("http://127.0.0.1:")
    assert ask(f"{url}/metrics").headers["Server"].strip() == "riverrun"


def test_strangers_cannot_fill_the_process_with_threads(stack: ExitStack) -> None:
    """Sixteen connections that say nothing are held; the next is hung up on; once one goes, there is room again."""
    url = serve(stack, Told())
    place = ("127.0.0.1", int(url.rpartition(":")[2]))
    silent = [stack.enter_context(socket.create_connection(place, timeout=20)) for _ in range(16)]
    extra = stack.enter_context(socket.create_connection(place, timeout=20))
    assert extra.recv(1) == b""
    silent[0].sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    assert silent[0].recv(1_000).startswith(b"HTTP/1.0 200")
    while silent[0].recv(1_000):
        pass
    for _ in range(100):
        with socket.create_connection(place, timeout=20) as again:
            again.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            if again.recv(1_000).startswith(b"HTTP/1.0 200"):
                return
    pytest.fail("the endpoint did not come back")


def test_a_port_that_is_taken_is_a_settings_error(stack: ExitStack) -> None:
    """Whoever set it reads which setting it was."""
    url = serve(stack, Told())
    taken = HealthSettings(int(url.rpartition(":")[2]))
    with pytest.raises(SettingsError, match="cannot listen on 127") as caught:
        HealthEndpoint(taken, Told().report, Told().report, Told().metrics)
    assert "RIVERRUN_HEALTH_PORT" in caught.value.hint


@pytest.mark.parametrize("text", ["x", "-1", "65536", "80.5", "٣"])
def test_a_port_that_is_none_is_refused(text: str) -> None:
    """Anything but a whole number up to 65535 names the setting and what to give."""
    with pytest.raises(SettingsError, match="RIVERRUN_HEALTH_PORT"):
        HealthSettings.from_environment({"RIVERRUN_HEALTH_PORT": text})


def test_without_a_port_nothing_listens() -> None:
    """The endpoint is off unless it is asked for."""
    assert HealthSettings.from_environment({}) is None
    assert HealthSettings.from_environment({"RIVERRUN_HEALTH_PORT": " "}) is None
    settings = HealthSettings.from_environment({"RIVERRUN_HEALTH_PORT": "9", "RIVERRUN_HEALTH_HOST": "::1"})
    assert settings == HealthSettings(9, "::1")


def test_a_service_imports_none_of_it_unless_asked() -> None:
    """What runs the stages imports neither OpenTelemetry nor the endpoint before a setting asks for them."""
    source = (
        "import sys; import services.catalogue; from riverrun.launch.telemetry import Telemetry;"
        "Telemetry('p', ['score'], {});"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'riverrun.telemetry.'))])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout == "['riverrun.telemetry.settings']\n"
