"""Signatures of webhooks by the Standard Webhooks scheme: HMAC-SHA256 over id, time and body.

The headers ``webhook-id``, ``webhook-timestamp`` (seconds since the epoch) and ``webhook-signature`` (``v1,`` and the
Base64 of the HMAC; several, separated by spaces, while a secret is being replaced) go with every request. Source:
standard-webhooks, specification 1.0.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from riverrun.errors import RiverrunError, SettingsError

__all__ = ["SignatureError", "Signer"]

_PREFIX: Final = "whsec_"
_LEAST_BYTES: Final = 24
_MOST_BYTES: Final = 64
TOLERANCE_S: Final = 300
"""How far a receiver's clock may be from the sender's, in seconds."""


class SignatureError(RiverrunError):
    """A request was not signed with a secret that is known, or long ago."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs and verifies with one or several secrets.

    Parameters
    ----------
    keys
        The secrets' bytes; the first is the one that counts, others are being replaced.
    """

    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, secrets: str) -> Signer:
        """Read secrets: ``whsec_`` and Base64 of 24 to 64 bytes; several are separated by spaces.

        Raises
        ------
        SettingsError
            If one is malformed. The message does not hold it.
        """
        keys = []
        for text in secrets.split():
            try:
                key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
            except (binascii.Error, ValueError):
                key = b""
            if not text.startswith(_PREFIX) or not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
                raise SettingsError(
                    "a webhook's secret is malformed", hint="it is whsec_ and the Base64 of 24 to 64 random bytes"
                )
            keys.append(key)
        if not keys:
            raise SettingsError("a webhook has no secret", hint="it is whsec_ and the Base64 of 24 to 64 random bytes")
        return cls(tuple(keys))

    def headers(self, identity: str, seconds: int, body: bytes) -> dict[str, str]:
        """Return the headers of a request.

        Parameters
        ----------
        identity
            The message's id, the same for every attempt to deliver it: the receiver's idempotency key.
        seconds
            When the attempt is made, in seconds since the epoch.
        body
            The request's body.

        Examples
        --------
        >>> signer = Signer.of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        >>> signer.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')["webhook-signature"]
        'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
        """
        signatures = [f"v1,{_signature(key, identity, str(seconds), body)}" for key in self.keys]
        return {
            "webhook-id": identity,
            "webhook-timestamp": str(seconds),
            "webhook-signature": " ".join(signatures),
        }

    def verify(self, headers: Mapping[str, str], body: bytes, seconds: int) -> str:
        """Check a request as its receiver; return the message's id.

        Parameters
        ----------
        headers
            The request's headers, with names in small letters.
        body
            Its body, to the byte.
        seconds
            The receiver's clock, in seconds since the epoch.

        Raises
        ------
        SignatureError
            If a header is missing or malformed, the time is not near, or no signature fits.
        """
        try:
            identity, sent, given = (headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
            age = seconds - int(sent)
        except (KeyError, ValueError):
            raise SignatureError("a webhook's headers are missing or malformed") from None
        if abs(age) > TOLERANCE_S:
            raise SignatureError(f"a webhook was signed {age} s ago", hint="is the clock right?")
        offered = [each.removeprefix("v1,") for each in given.split() if each.startswith("v1,")]
        wanted = [_signature(key, identity, sent, body) for key in self.keys]
        if not any(hmac.compare_digest(one.encode(), two.encode()) for one in offered for two in wanted):
            raise SignatureError("a webhook's signature does not fit", hint="do both sides have the same secret?")
        return identity


def _signature(key: bytes, identity: str, seconds: str, body: bytes) -> str:
    content = f"{identity}.{seconds}.".encode() + body
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
