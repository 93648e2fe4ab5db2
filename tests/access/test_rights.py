"""Every service works with exactly the rights that ``riverrun access`` gives it, and says so when one is missing."""

from __future__ import annotations

import json
import os
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from riverrun.adapters.kafka_log import KafkaLog
from riverrun.embedded.ports import choose_ports
from riverrun.errors import AccessDeniedError
from riverrun.launch.process import EXIT_USAGE
from riverrun.launch.rights import Operation, Resource, Right
from riverrun.launch.service import run_service
from services.catalogue import STAGES
from tests.access.castle import NAME, SHIPPED, Castle
from tests.cli.commands import run

LIMIT_S = 40.0
OPS = {"RIVERRUN_CHANNEL_OPS": "whsec_" + "c2VjcmV0" * 6}
SCOPES = ("--scope", "publish", "--scope", "predict", "--scope", "read", "--scope", "operate")


def test_all_services_work_with_their_own_rights(folded: Castle) -> None:
    """After each has worked as its own user, the auditor's account finds every promise kept."""
    audited = folded.command("auditor", "verify", folded.file, "--jobs", "1", "--json")
    assert audited.code == 0, audited.out
    assert audited.document["verified"]
    status = folded.command("operator", "status", folded.file, "--interval", "0", "--json")
    stages = {each["stage"]: each for each in status.document["stages"]}
    assert set(stages) >= {"ingest", "features", "score", "labels", "drift-inputs", "learn", "drift-errors"}
    assert {name: each["lag"] for name, each in stages.items()} == dict.fromkeys(stages, 0)
    assert stages["learn"]["folded"] > 0


def test_dead_letters_are_seen_and_sent_again_by_the_replayer(folded: Castle) -> None:
    """The replayer's account lists and replays; it may not read what the auditor may."""
    listed = folded.command("replayer", "dead-letters", "list", folded.file, "--json")
    assert listed.code == 0, listed.err
    assert listed.document["total"] >= 1
    sent = folded.command("replayer", "dead-letters", "replay", folded.file, "0:0", "--json")
    assert (sent.code, sent.document) == (0, {"replayed": ["0:0"]})
    refused = folded.command("replayer", "verify", folded.file, "--jobs", "1", "--json")
    assert refused.code == EXIT_USAGE
    assert "not permit" in refused.document["error"]


def test_alerts_work_with_their_own_rights(folded: Castle) -> None:
    """The alerts service makes its tables, and records what the others reported in a transaction of its own."""
    log = KafkaLog(dict(folded.addresses(folded.admin).kafka))

    def is_recorded(words: str) -> bool:
        del words
        return bool(log.tail(f"{NAME}.alert-signals", 0, 10))

    try:
        with folded.process("alerts", is_recorded, **OPS) as words:
            text = words.read_text(errors="replace")
    finally:
        log.close()
    assert "Authorization" not in text


def test_the_gateway_works_with_its_own_rights(folded: Castle) -> None:
    """The gateway is ready, takes an event in, and commands for the alerts, answers what the log tells and sends dead
    letters again; Redis it only reads.
    """
    (port,) = choose_ports(1)
    environment = folded.environment("gateway")
    key = run("keys", "make", "castle", *SCOPES, "--json", environment=environment).document["key"]
    event = json.loads((folded.folder / "events.jsonl").read_text(encoding="utf-8").splitlines()[0])["event"]

    def ask(path: str, body: object = None, method: str | None = None) -> str:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                return str(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return f"{error.code}: {error.read().decode()}"

    def is_up(words: str) -> bool:
        return "Uvicorn running" in words

    with folded.process("gateway", is_up, RIVERRUN_GATEWAY_PORT=str(port)) as log:
        assert ask("/health/ready") == "200", log.read_text(errors="replace")
        for what in ("models", "aliases", "evaluations", "ledger", "alerts", "subscriptions", "dead-letters"):
            assert ask(f"/v1/pipelines/{NAME}/{what}") == "200", what
        assert ask(f"/v1/pipelines/{NAME}/dead-letters/replay", {"names": ["0:0"]}) == "202"
        mine = {"channel": "webhook", "url": "https://hooks.example.org/y", "secret": "OPS"}
        assert ask(f"/v1/pipelines/{NAME}/subscriptions/mine", mine, "PUT") == "202"
        assert ask(f"/v1/pipelines/{NAME}/predict", event) == "200"
        assert ask(f"/v1/streams/{folded.pipeline.predict_on.name}", event) == "202"


Chosen = Callable[[Right], bool]


def _topic(kind: str, operation: Operation) -> Chosen:
    name = kind if kind.startswith(NAME) else f"{NAME}.{kind}"
    return lambda right: right.resource is Resource.TOPIC and right.name == name and right.operation is operation


def _of(resource: Resource) -> Chosen:
    return lambda right: right.resource is resource


SERVICES: list[tuple[str, Chosen, str]] = [
    ("ingest", _topic(SHIPPED, Operation.READ), f"{SHIPPED}[0]"),
    ("ingest", _topic("dead-letters", Operation.WRITE), "TOPIC_AUTHORIZATION_FAILED"),
    ("score", _topic("models", Operation.READ), f"{NAME}.models[0]"),
    ("score", _of(Resource.GROUP), f"riverrun.{NAME}.score"),
    ("score", _of(Resource.TRANSACTIONAL_ID), f"riverrun.{NAME}.score.0"),
    ("labels", _topic("progress", Operation.READ), f"{NAME}.progress"),
    ("learn", _topic("schemas", Operation.READ), f"{NAME}.schemas"),
    ("features", _topic("events", Operation.READ), f"{NAME}.events"),
    ("drift", _topic("predictions", Operation.READ), f"{NAME}.predictions"),
]


def _run(castle: Castle, service: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run ``python -m services.<service> FILE`` in this process until it ends; a signal ends it if it does not."""
    for name, value in castle.environment(service).items():
        monkeypatch.setenv(name, value)
    timer = threading.Timer(LIMIT_S, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    try:
        stages = [stage for name, stage in STAGES.items() if name.partition("-")[0] == service]
        return run_service([str(castle.file)], *stages)
    finally:
        timer.cancel()


@pytest.mark.parametrize(("service", "chosen", "told"), SERVICES)
def test_a_service_that_lacks_a_right_says_so_and_ends(
    folded: Castle,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    service: str,
    chosen: Chosen,
    told: str,
) -> None:
    """It ends by itself, with the exit code of wrong settings and a line that names what is denied, without a trace."""
    account = folded.accounts[service]
    rights = [right for right in account.kafka if chosen(right)]
    assert rights
    folded.forget(service)
    folded.publish_nonsense()
    with folded.without(account, rights):
        code = _run(folded, service, monkeypatch)
    words = caplog.text + capsys.readouterr().err
    assert code == EXIT_USAGE, words
    assert "Kafka does not permit it to this user" in words
    assert told in words
    assert "riverrun access FILE" in words
    assert "Traceback" not in words


OUTSIDE: list[tuple[str, Chosen, str]] = [
    ("gateway", _topic("models", Operation.READ), f"{NAME}.models[0]"),
    ("gateway", _topic("alert-commands", Operation.READ), f"{NAME}.alert-commands[0]"),
    ("alerts", _topic("alert-signals", Operation.READ), f"{NAME}.alert-signals"),
    ("alerts", _topic("alert-signals", Operation.WRITE), "TOPIC_AUTHORIZATION_FAILED"),
    ("alerts", _topic("progress", Operation.READ), f"{NAME}.progress"),
    ("alerts", _of(Resource.TRANSACTIONAL_ID), f"riverrun.{NAME}.alerts"),
    ("alerts", _of(Resource.GROUP), f"riverrun.{NAME}.alerts"),
]


@pytest.mark.parametrize(("service", "chosen", "told"), OUTSIDE)
def test_a_service_at_the_edge_that_lacks_a_right_says_so_and_ends(
    folded: Castle, service: str, chosen: Chosen, told: str
) -> None:
    """The gateway and the alerts end as stages do, by themselves and in words, whatever of Kafka is denied to them."""
    account = folded.accounts[service]
    rights = [right for right in account.kafka if chosen(right)]
    assert rights
    (port,) = choose_ports(1)
    settings = {"RIVERRUN_GATEWAY_PORT": str(port), **OPS}
    run("keys", "make", "castle", *SCOPES, "--json", environment=folded.environment("gateway"))
    with folded.without(account, rights):
        code, words = folded.ended(service, **settings)
    assert code == EXIT_USAGE, words
    assert "does not permit it to this user" in words
    assert told in words
    assert "riverrun access FILE" in words
    assert "Traceback" not in words


def test_alerts_that_may_not_be_written_are_told(folded: Castle) -> None:
    """As soon as there is one, the service ends in the same way; with its right back, the alert is written."""
    log = KafkaLog(dict(folded.addresses(folded.admin).kafka))
    account = folded.accounts["alerts"]
    writes = [right for right in account.kafka if _topic("alerts", Operation.WRITE)(right)]

    def is_told(words: str) -> bool:
        del words
        return bool(log.tail(f"{NAME}.alerts", 0, 1))

    try:
        before = len(log.tail(f"{NAME}.alert-signals", 0, 1_000))
        with folded.process("alerts", lambda _: len(log.tail(f"{NAME}.alert-signals", 0, 1_000)) > before, **OPS):
            pass
        folded.publish_nonsense()
        folded.work("ingest")
        with folded.without(account, writes):
            code, words = folded.ended("alerts", **OPS)
        assert code == EXIT_USAGE, words
        assert "TOPIC_AUTHORIZATION_FAILED" in words
        assert "Traceback" not in words
        with folded.process("alerts", is_told, **OPS):
            pass
    finally:
        log.close()


@pytest.mark.parametrize("rule", ["-hget", "resetkeys", "resetpass"])
def test_the_gateway_without_a_right_on_redis_says_so_and_ends(folded: Castle, rule: str) -> None:
    """It would be of no use, so it does not begin."""
    with folded.redis_without(folded.accounts["gateway"], rule):
        code, words = folded.ended("gateway")
    assert code == EXIT_USAGE, words
    assert "Redis does not" in words
    assert "Traceback" not in words


def test_a_service_works_again_when_it_has_its_rights_back(folded: Castle) -> None:
    """What was refused before was not lost: the next start takes it in."""
    folded.publish_nonsense()
    account = folded.accounts["ingest"]
    rights = [right for right in account.kafka if right.operation is Operation.WRITE]
    with folded.without(account, rights), pytest.raises(AccessDeniedError):
        folded.work("ingest")
    assert folded.work("ingest") > 0


@pytest.mark.parametrize("rule", ["-function|load", "-hset", "resetkeys", "resetpass"])
def test_features_without_a_right_on_redis_says_so_and_ends(
    folded: Castle,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    rule: str,
) -> None:
    """Whatever Redis denies, when the state is loaded or when it is written, ends in the same way."""
    folded.forget("features")
    folded.wipe_redis()
    with folded.redis_without(folded.accounts["features"], rule):
        code = _run(folded, "features", monkeypatch)
    words = caplog.text + capsys.readouterr().err
    assert code == EXIT_USAGE, words
    assert "Redis at" in words
    assert "Traceback" not in words


TOOLS: list[tuple[str, Chosen, tuple[str, ...], str]] = [
    ("operator", _topic("schemas", Operation.READ), ("status",), f"{NAME}.schemas"),
    ("auditor", lambda right: right.operation is Operation.READ and right.prefixed, ("verify", "--jobs", "1"), NAME),
    ("replayer", _topic(SHIPPED, Operation.WRITE), ("dead-letters", "replay", "--all"), "send dead letters again"),
]


@pytest.mark.parametrize(("service", "chosen", "command", "told"), TOOLS)
def test_a_tool_that_lacks_a_right_says_so(
    folded: Castle, service: str, chosen: Chosen, command: tuple[str, ...], told: str
) -> None:
    """It prints what is denied, as one JSON document, and ends with the exit code of wrong settings."""
    account = folded.accounts[service]
    words = [*command, folded.file] if command[0] != "verify" else ["verify", folded.file, *command[1:]]
    if command[0] == "status":
        words += ["--interval", "0"]
    if command[0] == "dead-letters":
        words = ["dead-letters", "replay", folded.file, "--all"]
    with folded.without(account, [right for right in account.kafka if chosen(right)]):
        ran = folded.command(service, *words, "--json")
    assert ran.code == EXIT_USAGE, ran.out
    assert told in ran.document["error"]
    assert "riverrun access FILE" in ran.document["hint"]


def test_topics_are_made_by_the_operator_alone(castle: Castle, folded: Castle) -> None:
    """A service that comes before the operator says that it may not create topics."""
    other = castle.file.read_text(encoding="utf-8").replace(f'name="{NAME}"', 'name="unprepared"')
    file = castle.folder / "unprepared.py"
    file.write_text(other, encoding="utf-8")
    ran = folded.command("ingest", "status", file, "--json")
    assert ran.code == EXIT_USAGE
    assert "unprepared." in ran.document["error"]


def test_a_wrong_password_is_told(folded: Castle) -> None:
    """Neither an unknown user nor a wrong password passes for a broker that is away; no password is printed."""
    environment = folded.environment("score")
    file = folded.folder / "wrong"
    file.write_text("s3cr3t-guess\n")
    environment["RIVERRUN_KAFKA_PASSWORD_FILE"] = str(file)
    ran = folded.run("status", folded.file, "--json", environment=environment)
    assert ran.code == EXIT_USAGE, ran.out
    assert "does not accept the user and password" in ran.document["error"]
    assert "s3cr3t" not in ran.out + ran.err
