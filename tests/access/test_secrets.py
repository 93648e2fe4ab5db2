"""What is secret is in no log and in no file that riverrun writes, whether all goes well or not.

Nor is it in the logs of Kafka and Redis.
"""

from __future__ import annotations

import base64
import logging
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Final, NamedTuple
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from riverrun.embedded.ports import choose_ports
from riverrun.launch.process import EXIT_UNAVAILABLE, EXIT_USAGE
from riverrun.launch.service import run_service
from services.catalogue import STAGES
from tests.access.castle import PASSWORD, Castle
from tests.cli.commands import run

_LIMIT_S: Final = 60.0
_PAUSE_S: Final = 0.1
_MODEL_KEY: Final = base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()
_WEBHOOK: Final = "whsec_" + base64.b64encode(b"planted-webhook-secret-of-32-byte").decode()
_REGISTRY: Final = "planted-registry-password"
_OTLP: Final = "planted-otlp-token+/="
_OTLP_USER: Final = "planted-otlp-password"
_NOWHERE: Final = "http://127.0.0.1:1"
_CLI: Final = ("-c", "from riverrun.cli import main; main()", "--verbose")


def _forms(secret: str) -> set[str]:
    """Return the forms in which a secret could be written."""
    raw = secret.encode()
    return {secret, quote(secret, safe=""), repr(secret)[1:-1], base64.b64encode(raw).decode(), raw.hex()}


class Told:
    """Everything that was said and written while something ran."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._said: list[str] = []
        self._elsewhere: list[Path] = []

    def hear(self, text: str) -> None:
        """Note what was printed."""
        self._said.append(text)

    def watch(self, *files: Path) -> None:
        """Look into files elsewhere, too."""
        self._elsewhere.extend(files)

    def texts(self) -> Iterator[tuple[str, str]]:
        """Iterate over names and contents."""
        yield "output", "".join(self._said)
        for file in (*self.folder.rglob("*"), *self._elsewhere):
            if file.is_file():
                yield str(file), file.read_bytes().decode("latin-1")

    def must_not_hold(self, *secrets: str) -> None:
        """Fail, naming the place, if a secret is in any of it in any form."""
        for name, text in self.texts():
            for secret in secrets:
                for form in _forms(secret):
                    assert form not in text, f"a secret is in {name}: ...{text[max(0, text.index(form) - 80) :][:80]}"


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


class _Refusing(BaseHTTPRequestHandler):
    """A collector that lets nobody in."""

    asked: Event

    def do_POST(self) -> None:
        """Note that the token came, and refuse it."""
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("X-Token") == _OTLP:
            self.asked.set()
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, text: str, *args: object) -> None:
        """Say nothing."""


class _Collector(NamedTuple):
    """How OpenTelemetry is set up, and whether it has called."""

    settings: Mapping[str, str]
    asked: Event


@pytest.fixture
def collector() -> Iterator[_Collector]:
    """A collector that wants a token and a password, and likes neither."""
    asked = Event()
    handler = type("Handler", (_Refusing,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://user:{_OTLP_USER}@127.0.0.1:{server.server_address[1]}",
            "OTEL_EXPORTER_OTLP_HEADERS": f"x-token={quote(_OTLP, safe='')}",
            "OTEL_TRACES_SAMPLER": "always_on",
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
            "NO_PROXY": "127.0.0.1",
        }
        yield _Collector(settings, asked)
        server.shutdown()
        thread.join()


def _settings(castle: Castle, told: Told) -> dict[str, str]:
    """Return settings with every secret that there is in them, in the clear; what the servers log is looked at."""
    told.watch(*castle.logs())
    return {
        **castle.admin,
        "RIVERRUN_DATA": str(told.folder / "data"),
        "RIVERRUN_MODEL_KEY": _MODEL_KEY,
        "RIVERRUN_CHANNEL_OPS": _WEBHOOK,
        "SCHEMA_REGISTRY_BASIC_AUTH": f"user:{_REGISTRY}",
    }


SECRETS: Final = (PASSWORD, _MODEL_KEY, _WEBHOOK, _REGISTRY, _OTLP, _OTLP_USER)


def _run_for_a_while(arguments: Sequence[str], settings: Mapping[str, str], until: str, told: Told) -> int:
    """Run a process until it says something, or ends; note what it says; return its exit code."""
    log = told.folder / "process.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], env={**os.environ, **settings}, stdout=output, stderr=output
        )
        deadline, pause = time.monotonic() + _LIMIT_S, Event()
        while process.poll() is None and until not in log.read_text(errors="replace"):
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            pause.wait(_PAUSE_S)
        process.terminate()
        return process.wait(_LIMIT_S)


def test_the_search_finds_what_is_planted(told: Told) -> None:
    """A secret in a file, in any of its forms, is found."""
    for number, form in enumerate(_forms(PASSWORD)):
        planted = told.folder / f"planted-{number}"
        planted.write_text(f"before {form} after")
        with pytest.raises(AssertionError, match="a secret is in"):
            told.must_not_hold(PASSWORD)
        planted.unlink()
    told.must_not_hold(PASSWORD)


def test_the_search_looks_into_the_servers_logs(folded: Castle, told: Told) -> None:
    """Both servers keep one, in which they tell their settings and who comes; what is planted there is found."""
    logs = folded.logs()
    told_by = {file.parent.name: file.read_text(encoding="utf-8", errors="replace") for file in logs}
    assert "sasl.mechanism" in told_by["kafka"]
    assert "Accepted 127.0.0.1" in told_by["redis"]
    told.watch(*logs)
    for file in logs:
        with file.open("ab") as log:
            log.write(f"{file.parent.name}-planted\n".encode())
        with pytest.raises(AssertionError, match="a secret is in"):
            told.must_not_hold(f"{file.parent.name}-planted")


def test_a_run_of_all_stages_tells_no_secret(folded: Castle, told: Told, collector: _Collector) -> None:
    """All stages, at their most talkative, write logs, state, models and schemas without any secret in them.

    So do the servers, which every account has been made at and has logged in to by now.
    """
    settings = {**_settings(folded, told), **collector.settings}
    assert _run_for_a_while([*_CLI, "run", str(folded.file), "--all"], settings, "] runs", told) == 0
    ran = run("status", folded.file, "--interval", "0", "--json", environment=settings)
    told.hear(ran.out + ran.err)
    assert ran.code == 0
    assert any("process.log" in name and "runs" in text for name, text in told.texts())
    assert collector.asked.is_set()
    passwords = folded.passwords()
    assert len(passwords) > 10
    told.must_not_hold(*SECRETS, *passwords)


def test_the_alerts_service_tells_no_secret(folded: Castle, told: Told, collector: _Collector) -> None:
    """Nor do Faust and its client, who keep a log and a folder of their own."""
    mail = f"mailto://ops:{_REGISTRY}@127.0.0.1:1"
    settings = {**_settings(folded, told), **collector.settings, "RIVERRUN_CHANNEL_MAIL": mail}
    arguments = ["-m", "services.alerts", str(folded.file)]
    # Faust shows the cursor again when everything has started; what it says before depends on the terminal.
    assert _run_for_a_while(arguments, settings, "[?25h", told) in (0, os.EX_TEMPFAIL)
    told.must_not_hold(*SECRETS)


@pytest.mark.parametrize(
    "broken",
    [
        {"RIVERRUN_KAFKA": "kafka+sasl_ssl://admin:{secret}@127.0.0.1:1"},
        {"RIVERRUN_KAFKA": "kafka+sasl_ssl://admin:{secret}@host name:9092"},
        {"RIVERRUN_KAFKA": "kafkaesque://admin:{secret}@127.0.0.1:9092"},
        {"RIVERRUN_KAFKA_OPTIONS": '{{"sasl.password": "{secret}", "no.such.property": "{secret}"}}'},
        {"RIVERRUN_KAFKA_OPTIONS": "sasl.password={secret}"},
        {"RIVERRUN_REDIS": "redis://admin:{secret}@[127.0.0.1"},
        {"RIVERRUN_REDIS": "http://admin:{secret}@127.0.0.1"},
        {"RIVERRUN_MODEL_KEY": "{secret}"},
        {"RIVERRUN_MODEL_TRUSTED_KEYS": "{secret}"},
        {"RIVERRUN_MODEL_STORE": "no-such-protocol://user:{secret}@127.0.0.1:1/models"},
        {"SCHEMA_REGISTRY_URL": "http://user:{secret}@127.0.0.1:1"},
        {"SCHEMA_REGISTRY_URL": "user:{secret}@127.0.0.1:1"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": _NOWHERE, "OTEL_EXPORTER_OTLP_HEADERS": "authorization: Bearer {secret}"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": _NOWHERE, "OTEL_EXPORTER_OTLP_TRACES_HEADERS": 'a=b,key="{secret}"'},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "grpc://user:{secret}@127.0.0.1:4317"},
    ],
    ids=[
        "away",
        "malformed",
        "scheme",
        "property",
        "options",
        "redis",
        "redis scheme",
        "key",
        "trusted keys",
        "model store",
        "registry",
        "registry url",
        "otlp headers",
        "otlp headers of traces",
        "otlp endpoint",
    ],
)
def test_errors_tell_no_secret(
    folded: Castle,
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    broken: dict[str, str],
) -> None:
    """Settings that are wrong, or name servers that are away, are told without what is secret in them."""
    secret = "planted-0-secret"
    settings = _settings(folded, told) | {name: value.format(secret=secret) for name, value in broken.items()}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.DEBUG)
    # A stage by itself, as only stages with models need the key.
    code = run_service([str(folded.file)], STAGES["learn"])
    told.hear(caplog.text + "".join(capfd.readouterr()))
    ran = run("status", folded.file, "--interval", "0", environment=settings)
    told.hear(ran.out + ran.err)
    assert code in (EXIT_USAGE, EXIT_UNAVAILABLE)
    told.must_not_hold(secret, *SECRETS)


def test_the_gateway_tells_no_key(folded: Castle, told: Told, collector: _Collector) -> None:
    """An API key is in no file and no log, be it right, wrong, or sent in the wrong place."""
    (port,) = choose_ports(1)
    settings = {**_settings(folded, told), **collector.settings, "RIVERRUN_GATEWAY_PORT": str(port)}
    made = run("keys", "make", "planted", "--scope", "read", "--json", environment=settings)
    key = str(made.document["key"])
    wrong = key[:-8] + "wrongkey"

    def ask() -> None:
        for given in (key, wrong, "planted-no-key"):
            for path, headers in (
                ("/v1/pipelines/castle/models", {"Authorization": f"Bearer {given}"}),
                (f"/v1/{given}?key={given}", {"X-Api-Key": given}),
            ):
                request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
                try:
                    with urllib.request.urlopen(request, timeout=_LIMIT_S) as answer:
                        told.hear(answer.read().decode())
                except urllib.error.HTTPError as error:
                    with error:
                        told.hear(str(error.headers))

    log = told.folder / "process.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.gateway", str(folded.file)],
            env={**os.environ, **settings},
            stdout=output,
            stderr=output,
        )
        try:
            deadline, pause = time.monotonic() + _LIMIT_S, Event()
            while "Uvicorn running" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                pause.wait(_PAUSE_S)
            ask()
        finally:
            process.terminate()
            process.wait(_LIMIT_S)
    told.must_not_hold(key, wrong, *SECRETS)
