"""Kafka and Redis without an installation: started, stopped and found again under one data folder."""

from riverrun.embedded.addresses import Addresses, ExternalServers, read_external_servers
from riverrun.embedded.client_properties import ClientProperties
from riverrun.embedded.cluster import EmbeddedCluster, open_cluster
from riverrun.embedded.kafka_server import EmbeddedKafka, KafkaSettings
from riverrun.embedded.kafka_url import kafka_client_properties
from riverrun.embedded.listener import Credentials, Tls
from riverrun.embedded.redis_server import EmbeddedRedis, RedisSettings

__all__ = [
    "Addresses",
    "ClientProperties",
    "Credentials",
    "EmbeddedCluster",
    "EmbeddedKafka",
    "EmbeddedRedis",
    "ExternalServers",
    "KafkaSettings",
    "RedisSettings",
    "Tls",
    "kafka_client_properties",
    "open_cluster",
    "read_external_servers",
]
