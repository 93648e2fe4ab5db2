"""Faults of the network between services and their servers: cut, slow, frozen, and a request that comes too late."""

from __future__ import annotations

from typing import Final

from chaos.proxies import Fault, KafkaProxy, Proxy
from chaos.scene import Kind, Scene, Steps
from riverrun.runtime.degradations import Degradation

__all__ = ["NETWORK", "cut_off"]

_FEATURES: Final = ("features",)


def _kafka(scene: Scene) -> KafkaProxy:
    """Return what stands between some service and Kafka."""
    return scene.kafka_proxies[scene.rng.choice(sorted(scene.kafka_proxies))]


def _redis(scene: Scene) -> Proxy:
    if scene.redis_proxy is None:
        raise LookupError("this scene has no proxy before Redis")
    return scene.redis_proxy


def _kafka_cut(scene: Scene) -> Steps:
    """Cut some service off from Kafka for some seconds."""
    yield from cut_off(scene.rng.choice(sorted(scene.kafka_proxies)), scene)


def cut_off(service: str, scene: Scene) -> Steps:
    """Cut a service off from Kafka for some seconds."""
    proxy = scene.kafka_proxies[service]
    proxy.cut(refusing=True)
    yield scene.rng.uniform(0.0, 5.0)
    proxy.restore()


def _kafka_slow(scene: Scene) -> Steps:
    """Let everything between a service and Kafka take far longer."""
    proxy = _kafka(scene)
    proxy.slow(scene.rng.uniform(0.05, 0.3))
    yield scene.rng.uniform(3.0, 6.0)
    proxy.restore()


def _kafka_frozen(scene: Scene) -> Steps:
    """Let nothing pass between a service and Kafka, though the connections stay open."""
    proxy = _kafka(scene)
    proxy.freeze()
    yield scene.rng.uniform(1.0, 8.0)
    proxy.restore()


def _redis_cut(scene: Scene) -> Steps:
    """Cut services off from Redis for some seconds."""
    proxy = _redis(scene)
    proxy.cut(refusing=True)
    yield scene.rng.uniform(0.0, 5.0)
    yield from scene.told("features", Degradation.REDIS_AWAY)
    proxy.restore()


def _redis_slow(scene: Scene) -> Steps:
    """Let every answer of Redis take far longer."""
    proxy = _redis(scene)
    proxy.slow(scene.rng.uniform(0.1, 0.8))
    yield scene.rng.uniform(3.0, 6.0)
    proxy.restore()


def _held_frame(scene: Scene) -> Steps:
    """Hold a request to end a transaction back, and release it when the next transaction has begun."""
    proxy = _kafka(scene)
    proxy.fail_next(Fault.DELAYED)
    yield from scene.until("a commit to hold back", lambda: proxy.holds > 0)
    yield from scene.until("the next transaction to begin", lambda: proxy.next_begun)
    released = proxy.release()
    if released != 1:
        scene.wrong(f"{released} requests were held back, not one: the fault was none")
    yield 0.0


def _lost_answer(scene: Scene) -> Steps:
    """Lose the answer to a request to end a transaction, and the connection with it."""
    proxy = _kafka(scene)
    proxy.fail_next(Fault.LOST_ANSWER)
    yield from scene.until("a commit whose answer is lost", lambda: not proxy.armed)
    yield 0.0


NETWORK: Final = (
    Kind("network.kafka-cut", _kafka_cut),
    Kind("network.kafka-slow", _kafka_slow),
    Kind("network.kafka-frozen", _kafka_frozen),
    Kind("network.redis-cut", _redis_cut, _FEATURES),
    Kind("network.redis-slow", _redis_slow, _FEATURES),
    Kind("network.held-frame", _held_frame),
    Kind("network.lost-answer", _lost_answer),
)
