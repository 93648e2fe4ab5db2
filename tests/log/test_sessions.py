"""How short a member's session is: as short as is wanted, or as the brokers allow."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from riverrun.adapters.kafka_log import KafkaLog
from riverrun.adapters.kafka_sessions import shortest_session_ms
from riverrun.embedded import ClientProperties
from riverrun.runtime.ports import TopicSpec
from tests.log.worlds import until

_TIMEOUT = 20.0


def _answer(value: str | None) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result({"group.min.session.timeout.ms": SimpleNamespace(value=value)})
    return future


def _refusal() -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(KafkaException(KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED)))
    return future


class _Admin(AdminClient):
    """Answers by itself."""

    def __init__(self, answer: Callable[[], Future[Any]]) -> None:
        super().__init__({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
        self._answer = answer

    def list_topics(self, *arguments: Any, **options: Any) -> Any:
        return SimpleNamespace(brokers={7: None})

    def describe_configs(self, resources: list[Any], *arguments: Any, **options: Any) -> Any:
        assert [resource.name for resource in resources] == ["7"]
        return {resources[0]: self._answer()}


@pytest.mark.parametrize(
    ("answer", "session"),
    [
        pytest.param(lambda: _answer("1000"), 2_500, id="shorter is allowed"),
        pytest.param(lambda: _answer("30000"), 30_000, id="longer is demanded"),
        pytest.param(_refusal, 6_000, id="not permitted to ask"),
        pytest.param(lambda: _answer(None), 6_000, id="no value"),
    ],
)
def test_the_brokers_have_a_say(answer: Callable[[], Future[Any]], session: int) -> None:
    """Never shorter than they allow; where they do not tell, Kafka's default is kept to."""
    assert shortest_session_ms(_Admin(answer), 2_500, _TIMEOUT) == session


def test_a_long_session_is_not_asked_about() -> None:
    """What every broker allows needs no answer."""

    def unasked() -> Future[Any]:
        raise AssertionError("the brokers were asked")

    assert shortest_session_ms(_Admin(unasked), 10_000, _TIMEOUT) == 10_000


def test_a_broker_answers(kafka: ClientProperties) -> None:
    """A real one does, with more than a session of no time at all."""
    assert shortest_session_ms(AdminClient(dict(kafka)), 1, _TIMEOUT) > 1


def test_members_join_with_it(kafka: ClientProperties) -> None:
    """The default session is one that the broker accepts: the member gets its partition."""
    topic = "test-sessions"
    log = KafkaLog(kafka)
    log.ensure_topics([TopicSpec(topic, 1)])
    member = log.membership(topic, topic)
    until(lambda: member.poll(0.1) == {0}, "the partition")
    member.close()
    log.close()
