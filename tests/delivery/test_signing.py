"""Signatures by the Standard Webhooks scheme."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.delivery.signing import SignatureError, Signer
from riverrun.errors import SettingsError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"k" * 32).decode()
NOW = 1_614_265_330


def test_the_schemes_own_example_is_signed_alike() -> None:
    """The vector that other implementations of the scheme are tested with."""
    headers = Signer.of(SECRET).headers("msg_p5jXN8AQM9LWM0D4loKWxJek", NOW, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(st.text("abc-_09", min_size=1), st.binary(), st.integers(-300, 300))
def test_what_was_signed_is_verified(identity: str, body: bytes, skew: int) -> None:
    """By whoever has the secret and a clock within five minutes."""
    signer = Signer.of(SECRET)
    assert signer.verify(signer.headers(identity, NOW, body), body, NOW + skew) == identity


@given(st.binary(min_size=1), st.data())
def test_a_changed_byte_is_noticed(body: bytes, data: st.DataObject) -> None:
    """In the body, the id or the time."""
    signer = Signer.of(SECRET)
    headers = signer.headers("id", NOW, body)
    place = data.draw(st.integers(0, len(body) - 1))
    changed = bytes([*body[:place], body[place] ^ 1, *body[place + 1 :]])
    for wrong, content in (
        (headers, changed),
        (headers | {"webhook-id": "ie"}, body),
        (headers | {"webhook-timestamp": str(NOW + 1)}, body),
    ):
        with pytest.raises(SignatureError):
            signer.verify(wrong, content, NOW)


@pytest.mark.parametrize("seconds", [NOW - 301, NOW + 301])
def test_old_and_future_requests_are_refused(seconds: int) -> None:
    """A recorded request cannot be sent again later."""
    signer = Signer.of(SECRET)
    with pytest.raises(SignatureError):
        signer.verify(signer.headers("id", NOW, b""), b"", seconds)


@pytest.mark.parametrize("lacking", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_missing_and_malformed_headers_are_refused(lacking: str) -> None:
    """Each is needed, and the time must be a number."""
    signer = Signer.of(SECRET)
    headers = signer.headers("id", NOW, b"")
    for wrong in ({name: value for name, value in headers.items() if name != lacking}, headers | {lacking: "x"}):
        with pytest.raises(SignatureError):
            signer.verify(wrong, b"", NOW)


def test_a_secret_is_replaced_without_a_gap() -> None:
    """While both are set, both sign, and a receiver with either of them is content."""
    both = Signer.of(f"{OTHER} {SECRET}")
    headers = both.headers("id", NOW, b"body")
    assert len(headers["webhook-signature"].split()) == 2
    for one in (SECRET, OTHER):
        assert Signer.of(one).verify(headers, b"body", NOW) == "id"
    with pytest.raises(SignatureError):
        Signer.of("whsec_" + base64.b64encode(b"z" * 32).decode()).verify(headers, b"body", NOW)


@pytest.mark.parametrize(
    "secret",
    ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%%", "whsec_" + base64.b64encode(b"short").decode(), "whsec_"],
)
def test_malformed_secrets_are_refused_and_not_told(secret: str) -> None:
    """At start, in words, without the secret in them."""
    with pytest.raises(SettingsError) as error:
        Signer.of(secret)
    assert len(secret) < 7 or secret not in str(error.value)
    assert SECRET not in repr(Signer.of(SECRET))
