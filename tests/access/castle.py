"""A Kafka and a Redis that let nobody in without a password, and nobody do what was not granted; a pipeline on them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any, Final
from unittest.mock import patch

import redis
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBindingFilter

from riverrun.adapters.kafka_log import KafkaLog, kafka_producer
from riverrun.embedded import (
    Addresses,
    Credentials,
    EmbeddedKafka,
    EmbeddedRedis,
    KafkaSettings,
    RedisSettings,
    read_external_servers,
)
from riverrun.launch.access_grant import binding_of
from riverrun.launch.connect import connect
from riverrun.launch.rights import Account, Right, accounts_of
from riverrun.pipeline import load
from riverrun.pipeline.template import write_new
from riverrun.runtime.ports import TopicSpec
from riverrun.runtime.settings import Settings
from riverrun.runtime.worker import Worker
from services.catalogue import STAGES
from tests.cli.commands import Ran, run
from tests.embedded.certificates import make_tls

NAME: Final = "castle"
ADMIN: Final = "admin"
PASSWORD: Final = "open, Sesame/%"
SHIPPED, DELIVERED = "castle.shipped-in", "castle.delivered-in"

WATCHED: Final = """\
    snapshot_every=20,
    drift=Drift(),
    alerts=[
        DeadLetterRule(name="dead", share=0.001, over="24h", least=1),
        CounterRule(name="models", stage="score", counter="models_refused", severity="critical"),
        Route(name="hook", url="https://hooks.example.org/x", secret="OPS"),
    ],
"""
"""What is added to the template, so that every service has something to do."""
_IMPORTS: Final = """\
from riverrun.pipeline import Drift
from riverrun.pipeline.alerts import CounterRule, DeadLetterRule, Route
from riverrun import"""

_AUTHORIZER: Final = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "false",
    # The broker reaches its own controller, on a port of its own, without a name.
    "super.users": f"User:{ADMIN};User:ANONYMOUS",
}
_TALKATIVE: Final = {"JAVA_TOOL_OPTIONS": "-Dorg.slf4j.simpleLogger.log.org.apache.kafka=info"}
"""What Kafka logs at this level, its configuration among it, must hold no secret either."""
_PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 0.005
_LOOK_S: Final = 0.1


class Castle:
    """The servers, the pipeline, and its accounts as ``riverrun access`` made them.

    Parameters
    ----------
    folder
        Where everything lies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tls = make_tls(folder)
        kafka = KafkaSettings(tls=tls, credentials=Credentials(ADMIN, PASSWORD), properties=_AUTHORIZER)
        self._kafka = EmbeddedKafka(folder / "kafka", kafka, announce=lambda line: None)
        redis_settings = RedisSettings(tls=tls, password=PASSWORD)
        self._redis = EmbeddedRedis(folder / "redis", redis_settings, announce=lambda line: None)
        self.file, *_ = write_new(NAME, folder)
        text = self.file.read_text(encoding="utf-8")
        text = text.replace('"parcels.shipped"', f'"{SHIPPED}"').replace('"parcels.delivered"', f'"{DELIVERED}"')
        text = text.replace("from riverrun import", _IMPORTS, 1)
        self.file.write_text(text.replace("    snapshot_every=20,\n", WATCHED), encoding="utf-8")
        self.pipeline = load(self.file)
        self.accounts = {account.service: account for account in accounts_of(self.pipeline, STAGES)}
        self.access = folder / "access"

    def start(self) -> None:
        """Start the servers, talkative; make the producers' topics, the users and their rights, and publish events."""
        self._redis.start()
        with redis.Redis.from_url(self._redis.url) as client:
            client.config_set("loglevel", "debug")
        with patch.dict(os.environ, _TALKATIVE):
            self._kafka.start()
        self.admin = {"RIVERRUN_KAFKA": self._kafka.url, "RIVERRUN_REDIS": self._redis.url}
        log = KafkaLog(dict(self.addresses(self.admin).kafka))
        log.ensure_topics([TopicSpec(SHIPPED, 1), TopicSpec(DELIVERED, 1)])
        log.close()
        ran = run("access", self.file, "--to", self.access, "--apply", environment=self.admin)
        assert ran.code == 0, ran.err
        self._publish()

    def stop(self) -> None:
        """Stop the servers."""
        self._kafka.stop()
        self._redis.stop()

    def environment(self, service: str) -> dict[str, str]:
        """Return a service's settings: those of its own file, with the addresses and folders of this place."""
        lines = (self.access / f"{service}.env").read_text(encoding="utf-8").splitlines()
        settings = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
        places = {
            "@kafka:9093": f"@{self._kafka.bootstrap}",
            "redis:6379": f"127.0.0.1:{self._redis.ports[0]}",
            "/run/secrets/ca.pem": str(self.folder / "ca.pem"),
            "/run/secrets/": f"{self.access}/secrets/",
        }
        for there, here in places.items():
            settings = {name: value.replace(there, here) for name, value in settings.items()}
        # Each on a disk of its own, as on a machine of its own; the models' store and key are shared.
        data = self.folder / "data" / service
        shared = {"RIVERRUN_MODEL_STORE": str(self.folder / "models"), "RIVERRUN_MODEL_KEY": str(self.folder / "key")}
        return {**settings, **shared, "RIVERRUN_DATA": str(data)}

    def addresses(self, environment: Mapping[str, str]) -> Addresses:
        """Return what the settings say of the servers."""
        servers = read_external_servers(environment)
        assert servers.kafka is not None
        assert servers.redis_url is not None
        return Addresses(servers.kafka, servers.redis_url, embedded=False)

    def logs(self) -> list[Path]:
        """Return what the servers have logged."""
        return [self._kafka.log, self._redis.log]

    def passwords(self) -> list[str]:
        """Return every account's password."""
        return [file.read_text(encoding="utf-8").strip() for file in sorted((self.access / "secrets").iterdir())]

    def command(self, service: str, *arguments: object) -> Ran:
        """Run the command line with an account's settings."""
        return run(*arguments, environment=self.environment(service))

    def work(self, service: str) -> int:
        """Let a service fold all that is there, with its own account's rights; return how many records it folded."""
        environment = self.environment(service)
        with patch.dict(os.environ, environment):
            return self._work(service, environment)

    def _work(self, service: str, environment: Mapping[str, str]) -> int:
        settings = Settings.from_environment(environment)
        deployment = connect(self.pipeline, self.addresses(environment), settings)
        stages = [stage for name, stage in STAGES.items() if name.partition("-")[0] == service]
        assert stages, f"there is no service {service}"
        worker = Worker(deployment, [[stage] for stage in stages])
        try:
            worker.join()
            deadline, pause = time.monotonic() + _PATIENCE_S, Event()
            while worker.round() or not self._is_done(worker, len(stages)):
                assert time.monotonic() < deadline, f"{service}: {worker.trouble}"
                pause.wait(_PAUSE_S)
            return sum(task.folded for task in worker.tasks())
        finally:
            worker.leave()
            deployment.log.close()

    @contextmanager
    def process(self, service: str, until: Callable[[str], bool], **settings: str) -> Iterator[Path]:
        """Run ``python -m services.<service> FILE`` as its own user meanwhile, from when ``until`` likes its log on.

        Gives its log.
        """
        log = self.folder / f"{service}.log"
        environment = {**os.environ, **self.environment(service), **settings}
        with log.open("wb") as output:
            command = [sys.executable, "-m", f"services.{service}", str(self.file)]
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            deadline, pause = time.monotonic() + _PATIENCE_S, Event()
            while not until(log.read_text(errors="replace")):
                assert process.poll() is None, log.read_text(errors="replace")
                assert time.monotonic() < deadline, log.read_text(errors="replace")
                pause.wait(_LOOK_S)
            yield log
        finally:
            process.terminate()
            process.wait(_PATIENCE_S)

    def ended(self, service: str, **settings: str) -> tuple[int, str]:
        """Run ``python -m services.<service> FILE`` as its own user until it ends; return its exit code and its log."""
        ran = subprocess.run(
            [sys.executable, "-m", f"services.{service}", str(self.file)],
            env={**os.environ, **self.environment(service), **settings},
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
        return ran.returncode, ran.stdout + ran.stderr

    def _is_done(self, worker: Worker, count: int) -> bool:
        tasks = worker.tasks()
        return len(tasks) == count and not worker.trouble and all(task.exhausted() for task in tasks)

    def run(self, *arguments: object, environment: Mapping[str, str]) -> Ran:
        """Run the command line with these settings."""
        return run(*arguments, environment=environment)

    def wipe_redis(self) -> None:
        """Forget all partials, so that they must be written again."""
        with redis.Redis.from_url(self._redis.url) as client:
            client.flushall()

    def forget(self, service: str) -> None:
        """Forget a service's local state, so that its next start needs all its rights again."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.folder / "data" / service)

    @contextmanager
    def without(self, account: Account, rights: list[Right]) -> Iterator[None]:
        """Take rights on Kafka away for a while."""
        admin = AdminClient(dict(self.addresses(self.admin).kafka))
        bindings = [binding_of(account.user, right) for right in rights]
        filters = [
            AclBindingFilter(
                each.restype,
                each.name,
                each.resource_pattern_type,
                each.principal,
                each.host,
                each.operation,
                each.permission_type,
            )
            for each in bindings
        ]
        assert all(future.result(30) for future in admin.delete_acls(filters).values())
        try:
            yield
        finally:
            for future in admin.create_acls(bindings).values():
                future.result(30)

    @contextmanager
    def redis_without(self, account: Account, rule: str) -> Iterator[None]:
        """Take a right on Redis away for a while: ``rule`` undoes it."""
        with redis.Redis.from_url(self._redis.url) as client:
            before: dict[str, Any] = client.acl_getuser(account.user)
            client.execute_command("ACL", "SETUSER", account.user, rule)
            assert client.acl_getuser(account.user) != before
            try:
                yield
            finally:
                client.execute_command("ACL", "SETUSER", account.user, *account.redis)

    def publish_nonsense(self) -> None:
        """Publish what will be a dead letter."""
        producer = kafka_producer(dict(self.addresses(self.admin).kafka))
        producer.produce(SHIPPED, b"no event", b"x")
        assert producer.flush(30) == 0

    def _publish(self) -> None:
        producer = kafka_producer(dict(self.addresses(self.admin).kafka))
        for line in (self.folder / "events.jsonl").read_text(encoding="utf-8").splitlines():
            published = json.loads(line)
            topic = {"parcels.shipped": SHIPPED, "parcels.delivered": DELIVERED}[published["topic"]]
            event = published["event"]
            producer.produce(topic, json.dumps(event).encode(), event["parcel_id"].encode())
        assert producer.flush(30) == 0
        self.publish_nonsense()
