"""Addresses: what the settings may say, what comes of it, and that no secret is ever shown."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from riverrun.embedded import Addresses, kafka_client_properties, read_external_servers
from riverrun.errors import SettingsError
from riverrun.masking import mask_url

# A marker no URL holds by chance: were the secrets "a", any "a" in a repr would look like a leak.
secrets = st.text(min_size=1, max_size=20).map(lambda text: f"s3cr3t{text}")
users = st.text(min_size=1, max_size=20).filter(lambda text: "s3cr3t" not in text)
broken_passwords = st.text(alphabet="@:/?#&=%[] \n,", max_size=8).map(lambda text: f"s3cr3t{text}s3cr3t")


def quoted(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")


@given(user=secrets, password=secrets, ports=st.lists(st.integers(1, 65535), min_size=1, max_size=3))
def test_user_and_password_come_back_as_they_were(user: str, password: str, ports: list[int]) -> None:
    """Whatever a name or password is made of survives percent-encoding into the client's properties."""
    hosts = ",".join(f"broker-{port}:{port}" for port in ports)
    properties = kafka_client_properties(f"kafka+sasl_ssl://{quoted(user)}:{quoted(password)}@{hosts}")
    assert dict(properties) == {
        "bootstrap.servers": hosts,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user,
        "sasl.password": password,
    }


@given(password=secrets, option=secrets)
def test_secrets_are_in_no_repr(password: str, option: str) -> None:
    """Neither passwords of URLs nor those given as options are in any text made from the addresses."""
    servers = read_external_servers(
        {
            "RIVERRUN_KAFKA": f"kafka+sasl_ssl://ada:{quoted(password)}@kafka:9093",
            "RIVERRUN_KAFKA_OPTIONS": json.dumps({"ssl.key.password": option, "ssl.key.pem": option}),
            "RIVERRUN_REDIS": f"rediss://ada:{quoted(password)}@cache:6380/0?password={quoted(password)}",
        }
    )
    assert servers.kafka is not None
    assert servers.redis_url is not None
    addresses = Addresses(servers.kafka, servers.redis_url, embedded=False)
    shown = f"{servers!r} {addresses} {addresses!r} {addresses.kafka} {servers.kafka!r}"
    assert "s3cr3t" not in shown
    assert "cache:6380" in shown
    assert servers.kafka["ssl.key.password"] == option


@given(password=broken_passwords, scheme=st.sampled_from(["kafka", "kafka+sasl", "kafka+ssl", "ftp", "redis"]))
@example(password="s3cr3t@%#s3cr3t", scheme="redis")
@example(password="s3cr3t@cache#s3cr3t", scheme="redis")
def test_secrets_are_in_no_error(password: str, scheme: str) -> None:
    """A password that should have been percent-encoded makes an error, or works, but is never quoted."""
    url = f"{scheme}://ada:{password}@host:no-port"
    for name in ("RIVERRUN_KAFKA", "RIVERRUN_REDIS"):
        with pytest.raises(SettingsError) as caught:
            read_external_servers({name: url})
        assert "s3cr3t" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(password=secrets)
def test_children_read_the_same_addresses(password: str) -> None:
    """The environment made for a child process gives the child equal addresses."""
    servers = read_external_servers(
        {
            "RIVERRUN_KAFKA": f"kafka+sasl://ada:{quoted(password)}@kafka:9093?mechanism=plain",
            "RIVERRUN_REDIS": "redis://cache",
        }
    )
    assert servers.kafka is not None
    assert servers.redis_url is not None
    environment = Addresses(servers.kafka, servers.redis_url, embedded=False).as_environment()
    assert read_external_servers(environment) == servers


def test_files_and_options_add_to_the_url(tmp_path: Path) -> None:
    """The properties file is weakest, then the URL, and the options win; numbers and booleans become text."""
    config = tmp_path / "client.properties"
    config.write_text("# tuning\n\nlinger.ms = 1\nsecurity.protocol=PLAINTEXT\nbatch.size=9\n", encoding="utf-8")
    ca = tmp_path / "ca.pem"
    ca.touch()
    servers = read_external_servers(
        {
            "RIVERRUN_KAFKA": f"kafka+ssl://kafka?ca={ca}",
            "RIVERRUN_KAFKA_CONFIG": str(config),
            "RIVERRUN_KAFKA_OPTIONS": '{"linger.ms": 20, "enable.idempotence": true}',
        }
    )
    assert dict(servers.kafka or {}) == {
        "bootstrap.servers": "kafka:9092",
        "security.protocol": "SSL",
        "ssl.ca.location": str(ca),
        "linger.ms": "20",
        "batch.size": "9",
        "enable.idempotence": "true",
    }


@given(user=users, password=secrets.map(lambda text: text.replace("\r", "").replace("\n", "")))
def test_passwords_may_come_from_files(tmp_path_factory: pytest.TempPathFactory, user: str, password: str) -> None:
    """A password in a file is that of the URL's user, whatever it is made of, and the rest of the URL stays."""
    file = tmp_path_factory.getbasetemp() / "password"
    try:
        file.write_text(f"{password}\n", encoding="utf-8")
        quoted(user).encode()
    except UnicodeEncodeError:
        return
    servers = read_external_servers(
        {
            "RIVERRUN_KAFKA": f"kafka+sasl_ssl://{quoted(user)}@kafka-1,kafka-2:9093?mechanism=SCRAM-SHA-256",
            "RIVERRUN_KAFKA_PASSWORD_FILE": str(file),
            "RIVERRUN_REDIS": f"rediss://{quoted(user)}@cache:6380/1?ssl_ca_certs=ca.pem",
            "RIVERRUN_REDIS_PASSWORD_FILE": str(file),
        }
    )
    assert servers.kafka is not None
    assert dict(servers.kafka) == {
        "bootstrap.servers": "kafka-1:9092,kafka-2:9093",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": user,
        "sasl.password": password,
    }
    assert servers.redis_url == f"rediss://{quoted(user)}:{quoted(password)}@cache:6380/1?ssl_ca_certs=ca.pem"
    assert "s3cr3t" not in repr(servers)


@pytest.mark.parametrize(
    ("address", "content", "said"),
    [
        ("", "tea", "must be a URL that names a user"),
        ("kafka:9092", "tea", "must be a URL that names a user"),
        ("kafka+sasl://kafka:9092", "tea", "must be a URL that names a user"),
        ("kafka+sasl://ada:s3cr3t@kafka:9092", "tea", "without a password"),
        ("kafka+sasl://ada@kafka:9092", "\n", "is empty"),
        ("kafka+sasl://ada@kafka:9092", None, "cannot be read"),
    ],
)
def test_a_password_file_that_cannot_be_meant_is_refused(
    tmp_path: Path, address: str, content: str | None, said: str
) -> None:
    """The file needs a URL with a user and no password, and must be there with something in it."""
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=said) as caught:
        read_external_servers({"RIVERRUN_KAFKA": address, "RIVERRUN_KAFKA_PASSWORD_FILE": str(file)})
    assert "s3cr3t" not in str(caught.value)


def test_nothing_set_means_nothing_external() -> None:
    """Blank settings are as good as none: riverrun then runs its own servers."""
    servers = read_external_servers({"RIVERRUN_KAFKA": " ", "RIVERRUN_REDIS": ""})
    assert servers.kafka is None
    assert servers.redis_url is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"RIVERRUN_KAFKA": "kafka:port"}, "not host:port"),
        ({"RIVERRUN_KAFKA": "kafka:9092,,"}, "not host:port"),
        ({"RIVERRUN_KAFKA": "kafka:70000"}, "not host:port"),
        ({"RIVERRUN_KAFKA": "http://kafka:9092"}, "unknown scheme"),
        ({"RIVERRUN_KAFKA": "kafka://ada:tea@kafka:9092"}, "names a user"),
        ({"RIVERRUN_KAFKA": "kafka://kafka:9092?ca=ca.pem"}, "has no TLS"),
        ({"RIVERRUN_KAFKA": "kafka+ssl://kafka:9092?mechanism=PLAIN"}, "has no login"),
        ({"RIVERRUN_KAFKA": "kafka+sasl://kafka:9092"}, "needs a user and a password"),
        ({"RIVERRUN_KAFKA": "kafka+sasl://ada:tea@kafka?mechanism=MAGIC"}, "unknown SASL mechanism"),
        ({"RIVERRUN_KAFKA": "kafka+ssl://kafka?colour=red"}, "unknown parameter"),
        ({"RIVERRUN_KAFKA": "kafka+ssl://kafka?ca=/no/such.pem"}, "no such file"),
        ({"RIVERRUN_KAFKA_OPTIONS": '{"linger.ms": 5}'}, "nothing says where the brokers are"),
        ({"RIVERRUN_KAFKA": "kafka", "RIVERRUN_KAFKA_OPTIONS": "linger"}, "is not JSON"),
        ({"RIVERRUN_KAFKA": "kafka", "RIVERRUN_KAFKA_OPTIONS": "[]"}, "not a JSON object"),
        ({"RIVERRUN_KAFKA": "kafka", "RIVERRUN_KAFKA_OPTIONS": '{"a": null}'}, "the value of 'a'"),
        ({"RIVERRUN_KAFKA": "kafka", "RIVERRUN_KAFKA_CONFIG": "/no/such"}, "cannot be read"),
        ({"RIVERRUN_REDIS": "cache:6379"}, "not a Redis URL"),
        ({"RIVERRUN_REDIS": "redis://"}, "not a Redis URL"),
        ({"RIVERRUN_REDIS": "redis://%:6379"}, "not a Redis URL"),
        ({"RIVERRUN_REDIS": "redis://cache/first"}, "not a Redis URL"),
        ({"RIVERRUN_REDIS": "redis://cache#0"}, "not a Redis URL"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, str], said: str) -> None:
    """Each mistake is named in words, at the start, not by a client that cannot connect."""
    with pytest.raises(SettingsError, match=said):
        read_external_servers(settings)


def test_ipv6_addresses_keep_their_brackets() -> None:
    """An IPv6 host is taken as a host, not torn apart at its colons."""
    assert kafka_client_properties("[::1]:9092,[fe80::2]")["bootstrap.servers"] == "[::1]:9092,[fe80::2]:9092"


def test_addresses_travel_to_another_process() -> None:
    """Addresses can be pickled, as multiprocessing does, and come back equal with their secrets."""
    addresses = Addresses(kafka_client_properties("kafka+sasl://a:b@kafka"), "redis://:c@cache", embedded=True)
    assert pickle.loads(pickle.dumps(addresses)) == addresses


@given(url=st.text(max_size=30), secret=secrets)
def test_masking_hides_all_before_the_last_at_sign(url: str, secret: str) -> None:
    """Even in a URL that is none, what stands where a password would is hidden."""
    assert "s3cr3t" not in mask_url(f"redis://{url.replace('/', '')}{secret.replace('@', '')}@host")
