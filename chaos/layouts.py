"""How a scene is laid out: which services run in which processes, on which servers, and what may strike there."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from chaos.between_brokers import BetweenBrokers
from chaos.brokers import ThreeBrokers
from chaos.caller import Caller
from chaos.faults.disks import DISKS
from chaos.faults.edges import AT_THE_EDGES, EDGES
from chaos.faults.network import NETWORK
from chaos.faults.processes import CHAINED, MEMBERS, SERVICES
from chaos.faults.servers import KAFKA, ONE_OF_THREE, REDIS, beside
from chaos.parcels import DISORDER, ParcelLoad
from chaos.plain_alerts import SUBSCRIPTION
from chaos.proxies import KafkaProxy, Proxy
from chaos.receiver import Receiver
from chaos.scene import Kind, Scene, now_ms
from chaos.services import Service
from chaos.witness import PredictionsWatcher, RedisWatcher, Witness
from chaos.world import IN_ORDER, Plan, World
from riverrun.adapters.kafka_log import kafka_producer
from riverrun.api_keys import KeyFile, Scope, key_file_path
from riverrun.embedded import EmbeddedCluster, EmbeddedKafka, EmbeddedRedis
from riverrun.embedded.addresses import Addresses
from riverrun.embedded.kafka_server import KafkaSettings
from riverrun.embedded.ports import choose_ports
from riverrun.records.items import AlertCommand
from riverrun.records.topics import Kind as Topic
from services.alerts.app import INSTANCE
from services.alerts.channels import SECRETS

__all__ = ["APART", "LAYOUTS", "Layout", "Setting", "quiet"]

_BEGIN_LIMIT_S: Final = 300.0
_FIRST: Final = ("ingest", "features", "score")
_SECOND: Final = ("labels", "learn")
_SECRET: Final = "CHAOS"
_GATEWAY_PORT: Final = "RIVERRUN_GATEWAY_PORT"


def quiet(line: str) -> None:
    """Take no notice of servers that start and stop: here they do it all the time."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What every layout is built from.

    Parameters
    ----------
    name
        The pipeline's name, not used before on these servers.
    folder
        For everything.
    seed
        Of the load, and of when faults strike and how.
    per_s
        Messages published a second while the load is on.
    """

    name: str
    folder: Path
    seed: int
    per_s: float = 100.0


@dataclass(slots=True)
class _Servers:
    """The servers of a scene, by what is needed of them."""

    addresses: Addresses
    brokers: Sequence[EmbeddedKafka]
    redis: EmbeddedRedis
    kafka_proxies: dict[str, KafkaProxy] = field(default_factory=dict)
    redis_proxy: Proxy | None = None
    between: BetweenBrokers | None = None
    receiver: Receiver = field(default_factory=lambda: Receiver(0))
    gateway_port: int = 0


Start = Callable[[World, _Servers], Mapping[str, Service]]
Servers = Callable[[Setting, ExitStack], _Servers]


@dataclass(frozen=True, slots=True)
class Layout:
    """A way to lay out a scene.

    Parameters
    ----------
    name
        In reports.
    kinds
        The faults that may strike.
    servers, start
        Start the servers, and the services.
    partitions
        Of the producers' topics.
    comparable
        Whether what it leaves must be what an undisturbed run leaves.
    edges
        Whether the services at the edges run beside the stages: drift, alerts and the gateway.
    """

    name: str
    kinds: tuple[Kind, ...]
    servers: Servers
    start: Start
    partitions: int = 1
    comparable: bool = False
    edges: bool = False

    @contextmanager
    def stage(self, setting: Setting) -> Iterator[Scene]:
        """Set a scene: everything runs, and the first of everything is committed."""
        with ExitStack() as stack:
            servers = self.servers(setting, stack)
            load = ParcelLoad(setting.seed, DISORDER)
            plan = Plan(setting.name, load, self.partitions, setting.per_s, supervised=True)
            world = stack.enter_context(World(plan, servers.addresses, setting.folder / "world"))
            watchers = (
                PredictionsWatcher(world.deployment, servers.addresses.kafka),
                RedisWatcher(servers.addresses.redis_url, setting.name),
            )
            witness = Witness(*watchers)
            stack.callback(witness.close)
            services = dict(self.start(world, servers))
            caller = stack.enter_context(_calling(world, servers, lambda: load.clock_ms)) if self.edges else None
            rng = random.Random(setting.seed)
            scene = Scene(world, servers.brokers, servers.redis, services, witness, rng)
            scene.kafka_proxies, scene.redis_proxy = servers.kafka_proxies, servers.redis_proxy
            scene.between = servers.between
            scene.receiver, scene.caller = servers.receiver, caller
            stages = {stage for service in services.values() for stage in service.stages}
            begun = "the first commit of everything"
            world.wait(
                begun, lambda: stages <= {name for name, _ in world.watch.latest}, feed=True, limit_s=_BEGIN_LIMIT_S
            )
            yield scene


def _embedded(setting: Setting, stack: ExitStack, kafka: KafkaSettings | None = None) -> _Servers:
    cluster = stack.enter_context(EmbeddedCluster(setting.folder / "servers", kafka=kafka, announce=quiet))
    return _Servers(cluster.addresses, [cluster.kafka], cluster.redis)


def _behind_proxies(setting: Setting, stack: ExitStack) -> _Servers:
    servers = _embedded(setting, stack)
    for name in ("first", "second"):
        servers.kafka_proxies[name] = stack.enter_context(KafkaProxy(servers.brokers[0].ports[0]))
    servers.redis_proxy = stack.enter_context(Proxy(servers.redis.ports[0]))
    return servers


def _three(setting: Setting, stack: ExitStack) -> _Servers:
    brokers = stack.enter_context(ThreeBrokers(setting.folder / "servers", quiet))
    return _Servers(brokers.addresses, brokers.nodes, brokers.redis, between=brokers.between)


def _with_receiver(setting: Setting, stack: ExitStack) -> _Servers:
    # The broker is hardly ever killed here, so it may be one as in production: the other takes two thirds of a core,
    # and the services at the edges need one each to start.
    servers = _embedded(setting, stack, KafkaSettings(optimizing=True))
    servers.receiver = stack.enter_context(Receiver(setting.seed))
    for name in AT_THE_EDGES:
        servers.kafka_proxies[name] = stack.enter_context(KafkaProxy(servers.brokers[0].ports[0]))
    (servers.gateway_port,) = choose_ports(1)
    return servers


def _apart(world: World, servers: _Servers) -> Mapping[str, Service]:
    del servers
    return world.stages()


def _chained(world: World, servers: _Servers) -> Mapping[str, Service]:
    del servers
    return {"chain": world.chain(**IN_ORDER)}


def _members(world: World, servers: _Servers) -> Mapping[str, Service]:
    del servers
    return {name: world.chain(name) for name in ("one", "two")}


def _halves(world: World, servers: _Servers) -> Mapping[str, Service]:
    """Start two chains, each behind proxies of its own where there are any."""
    services = {}
    for name, stages in (("first", _FIRST), ("second", _SECOND)):
        addresses = _through(servers, name)
        environment = world.environment({}, addresses)
        services[name] = world.started(Service.chain(name, world.file, environment, world.folder, stages))
    return services


def _with_edges(world: World, servers: _Servers) -> Mapping[str, Service]:
    """Start a chain; beside it drift, the alerts with one subscriber, and the gateway."""
    receiver = servers.receiver
    _subscribe(world, f"http://{receiver.address}/")
    settings = {
        f"{SECRETS}{_SECRET}": receiver.secret,
        "RIVERRUN_WEBHOOK_ALLOW": receiver.address,
        # Who comes back under its name takes over at once.
        INSTANCE: "the-one",
    }
    gateway = {_GATEWAY_PORT: str(servers.gateway_port)}

    def environment(name: str, settings: Mapping[str, str]) -> dict[str, str]:
        return world.environment(settings, _through(servers, name))

    beside = (
        Service.beside("alerts", world.file, environment("alerts", settings), world.folder),
        Service.drift(world.file, environment("drift", {}), world.folder),
        Service.beside("gateway", world.file, environment("gateway", gateway), world.folder),
    )
    return {"chain": world.chain(), **{service.name: world.started(service) for service in beside}}


def _calling(world: World, servers: _Servers, clock: Callable[[], int]) -> Caller:
    """Return who publishes through the gateway."""
    keys = KeyFile(key_file_path(world.settings.data_folder, {}))
    key = keys.make("chaos", [Scope.PUBLISH], now=now_ms())
    caller = Caller(f"http://127.0.0.1:{servers.gateway_port}", key, clock)
    world.beside = lambda: caller.accepted
    return caller


def _subscribe(world: World, url: str) -> None:
    command = AlertCommand("subscribe-1", "subscribe", 0, "chaos", subscription=SUBSCRIPTION, channel="webhook")
    command.url, command.secret = url, _SECRET
    key, value, headers = world.deployment.wire.to_wire(command, 0)
    producer = kafka_producer(dict(world.addresses.kafka))
    producer.produce(world.deployment.topology.names[Topic.ALERT_COMMANDS], value, key, 0, headers=[*headers])
    producer.flush()


def _through(servers: _Servers, name: str) -> Addresses:
    """Return where a service finds the servers: at the proxies before them, where there are any."""
    found = servers.addresses
    proxy = servers.kafka_proxies.get(name)
    if proxy is not None:
        found = replace(found, kafka=type(found.kafka)({"bootstrap.servers": f"127.0.0.1:{proxy.port}"}))
    if servers.redis_proxy is not None:
        there, here = f":{servers.redis.ports[0]}", f":{servers.redis_proxy.port}"
        found = replace(found, redis_url=found.redis_url.replace(there, here))
    return found


APART: Final = Layout("apart", (*SERVICES, *KAFKA, *REDIS, *DISKS), _embedded, _apart)
LAYOUTS: Final = (
    APART,
    Layout("chained", (*CHAINED, *beside("chained")), _embedded, _chained, comparable=True),
    Layout("members", (*MEMBERS, *beside("members")), _embedded, _members, partitions=2),
    Layout("network", (*NETWORK, *beside("network")), _behind_proxies, _halves),
    Layout("edges", EDGES, _with_receiver, _with_edges, edges=True),
    Layout("three-brokers", ONE_OF_THREE, _three, _halves),
)
