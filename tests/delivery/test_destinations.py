"""Webhooks go to public addresses, or to hosts that the operator named; nowhere else, however an address is written."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.delivery.destinations import (
    Destination,
    ForbiddenError,
    Resolve,
    UnresolvedError,
    allowed_hosts,
    locate,
    look_up,
    parse_url,
)
from riverrun.delivery.public_addresses import is_public

PRIVATE = (
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:93.184.215.14",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::93.184.215.14",
    "64:ff9b:1::10.0.0.1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:5db8:d70e::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
)
"""Addresses that are not public; Python 3.11's ``is_global`` passes some of them."""

PUBLIC = ("1.1.1.1", "8.8.8.8", "93.184.215.14", "172.32.0.1", "192.0.3.1", "2606:2800:21f::1", "2a00:1450::1")


@pytest.mark.parametrize("text", PRIVATE)
def test_special_addresses_are_not_public(text: str) -> None:
    """Whoever is at such an address may be inside, or behind a translator that leads inside."""
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are(text: str) -> None:
    """The rule does not forbid the internet."""
    assert is_public(ip_address(text))


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_public(address: IPv4Address | IPv6Address) -> None:
    """The lists here are at least as strict as the standard library's."""
    assert not is_public(address) or address.is_global


LOCAL_BY_RESOLVER = (
    "https://2130706433/",
    "https://0x7f.1/",
    "https://0x7f000001/",
    "https://017700000001/",
    "https://127.1/",
    "https://127.0.0.1./",
    "https://localhost/",
)
"""URLs whose host no parser of addresses takes for one, and which the system's resolver finds on this machine."""


@pytest.mark.parametrize("url", LOCAL_BY_RESOLVER)
def test_what_the_resolver_makes_of_odd_hosts_is_checked(url: str) -> None:
    """Numbers in any notation end at 127.0.0.1 or nowhere, and are refused by what they end at."""
    with pytest.raises((ForbiddenError, UnresolvedError)):
        locate(parse_url(url), frozenset(), look_up)


def test_the_resolver_does_read_numbers_as_addresses() -> None:
    """So the test above is about something: 2130706433 is 127.0.0.1 to it."""
    assert list(look_up("2130706433", 443)) == ["127.0.0.1"]
    with pytest.raises(ForbiddenError, match=r"127\.0\.0\.1"):
        locate(Destination("https", "2130706433", 443, "/"), frozenset(), look_up)


@pytest.mark.parametrize("host", ["①②⑦.⓪.⓪.①", "127。0。0。1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "127.0.0.1"])
def test_hosts_in_disguise_are_refused(host: str) -> None:
    """Circled digits and full-width dots: no URL of ours has them, and what they resolve to is checked as well."""
    with pytest.raises(ForbiddenError):
        parse_url(f"https://{host}/")
    with pytest.raises((ForbiddenError, UnresolvedError)):
        locate(Destination("https", host, 443, "/"), frozenset(), look_up)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "https:///path",
        "example.com",
        "",
        "https://ada:secret@example.com/",
        "https://example.com@127.0.0.1/",
        "https://exa mple.com/",
        "https://example.com/\r\nX-Injected: yes",
        "https://example.com\\@127.0.0.1/",
        "https://example.com:99999/",
        "https://[::1",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]:8443/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
    ],
)
def test_urls_that_are_no_webhooks_are_refused_at_once(url: str) -> None:
    """Before anything is looked up: wrong schemes, passwords, line breaks, addresses that are not public."""
    with pytest.raises(ForbiddenError):
        parse_url(url)


def test_a_secret_in_a_url_is_not_told() -> None:
    """What is refused may hold a password."""
    with pytest.raises(ForbiddenError) as error:
        parse_url("https://ada:tea@example.com/")
    assert "tea" not in str(error.value)


def test_a_url_is_taken_apart() -> None:
    """Host in small letters, the scheme's port unless said, path and query as the request's target."""
    assert parse_url("https://Hooks.Example.com") == Destination("https", "hooks.example.com", 443, "/")
    found = parse_url("https://example.com:8443/a/b?c=d#e")
    assert (found.port, found.target) == (8443, "/a/b?c=d")


def finds(*addresses: str) -> Resolve:
    """Return a resolver that finds these addresses, whatever the host."""
    return lambda host, port: addresses


def test_every_address_of_a_host_is_checked() -> None:
    """One private address among public ones is enough to be refused: nobody says which would be taken."""
    place = parse_url("https://example.com/")
    found = locate(place, frozenset(), finds("8.8.8.8", "1.1.1.1", "8.8.8.8"))
    assert found.addresses == ("8.8.8.8", "1.1.1.1")
    for order in (["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["8.8.8.8", "fe80::1%eth0"], ["nonsense"]):
        with pytest.raises(ForbiddenError):
            locate(place, frozenset(), finds(*order))


def test_a_host_without_an_address_may_have_one_later() -> None:
    """That is another kind of error: it is tried again."""

    def fail(host: str, port: int) -> Sequence[str]:
        raise OSError(f"{host}:{port} is unknown")

    place = parse_url("https://example.com/")
    with pytest.raises(UnresolvedError):
        locate(place, frozenset(), fail)
    with pytest.raises(UnresolvedError):
        locate(place, frozenset(), finds())


def test_the_operator_may_allow_a_host_by_its_name_and_port() -> None:
    """Then it need not be public, nor speak TLS; another spelling of the same address is not allowed by that."""
    allowed = allowed_hosts({"RIVERRUN_WEBHOOK_ALLOW": " Localhost:8080,hooks.lan ,127.0.0.1"})
    assert locate(parse_url("http://localhost:8080/x", allowed), allowed, finds("127.0.0.1")).port == 8080
    assert locate(parse_url("http://hooks.lan/", allowed), allowed, finds("10.0.0.7")).addresses == ("10.0.0.7",)
    assert parse_url("https://127.0.0.1/", allowed).host == "127.0.0.1"
    for other in ("http://localhost:8081/", "http://hooks.lan.example.com/"):
        with pytest.raises(ForbiddenError):
            parse_url(other, allowed)
    with pytest.raises(ForbiddenError):
        locate(parse_url("https://2130706433/", allowed), allowed, look_up)
