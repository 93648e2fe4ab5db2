"""Ed25519 keys: snapshots and version records are signed, and nothing unsigned is ever unpickled.

One private key signs (``RIVERRUN_MODEL_KEY``); its public half and those listed in
``RIVERRUN_MODEL_TRUSTED_KEYS`` are trusted. To change the key, list the old one's public half there until its
snapshots are no longer needed. A process that only scores needs no private key.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from riverrun.errors import RiverrunError, SettingsError

__all__ = ["SIGNATURE_BYTES", "KeyRing", "SignatureError", "create_key", "key_ring"]

SIGNATURE_BYTES: Final = 64
"""Length of an Ed25519 signature."""

_KEY_BYTES: Final = 32
_KEY_HINT: Final = "give the base64 of a 32-byte Ed25519 key, or the path of a file that holds it (or a PEM)"


class SignatureError(RiverrunError):
    """Something is not signed by a trusted key: it may be forged, altered or cut short."""


class KeyRing:
    """The key that signs, if any, and the keys that are trusted.

    Parameters
    ----------
    private
        The signing key; None in a process that only reads. Its public half is trusted too.
    trusted
        Further public keys to trust.

    Examples
    --------
    >>> keys = KeyRing(Ed25519PrivateKey.from_private_bytes(bytes(32)))
    >>> signature = keys.sign(b"purpose", b"what was said")
    >>> keys.verify(b"purpose", b"what was said", signature)
    >>> keys.verify(b"purpose", b"what was meant", signature)
    Traceback (most recent call last):
    riverrun.models.signing.SignatureError: the signature is not by a trusted key, or the content was altered
    """

    __slots__ = ("_private", "_trusted")

    def __init__(self, private: Ed25519PrivateKey | None, trusted: Iterable[Ed25519PublicKey] = ()) -> None:
        self._private = private
        own = () if private is None else (private.public_key(),)
        self._trusted = (*own, *trusted)

    @property
    def can_sign(self) -> bool:
        """Whether there is a private key."""
        return self._private is not None

    def public_key(self) -> str:
        """Return the signing key's public half, in base64, as others list it among their trusted keys."""
        return base64.b64encode(self._signing_key().public_key().public_bytes_raw()).decode()

    def sign(self, purpose: bytes, content: bytes) -> bytes:
        """Sign ``content`` for one ``purpose``; a signature for another purpose does not verify.

        Raises
        ------
        SettingsError
            If there is no private key.
        """
        return self._signing_key().sign(purpose + b"\0" + content)

    def verify(self, purpose: bytes, content: bytes, signature: bytes) -> None:
        """Return if a trusted key signed ``content`` for ``purpose``.

        Raises
        ------
        SignatureError
            If none did.
        """
        for key in self._trusted:
            try:
                key.verify(signature, purpose + b"\0" + content)
            except InvalidSignature:
                continue
            return
        raise SignatureError("the signature is not by a trusted key, or the content was altered")

    def _signing_key(self) -> Ed25519PrivateKey:
        if self._private is None:
            raise SettingsError("there is no key to sign models with", hint="set RIVERRUN_MODEL_KEY")
        return self._private


def key_ring(setting: str, trusted: str = "") -> KeyRing:
    """Build a key ring from settings.

    Parameters
    ----------
    setting
        Base64 of a 32-byte private key, or the path of a file that holds that, the 32 bytes, or a PEM; empty
        for none.
    trusted
        Public keys in base64, separated by commas.

    Raises
    ------
    SettingsError
        If a key cannot be read. The message never holds the key.

    Examples
    --------
    >>> ring = key_ring("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    >>> ring.public_key()
    'O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik='
    """
    public = [_public_key(text.strip()) for text in trusted.split(",") if text.strip()]
    return KeyRing(_private_key(setting) if setting else None, public)


def create_key(path: Path) -> KeyRing:
    """Read the private key at ``path``, or make one there that only the owner may read.

    Safe to call from several processes at once: the file appears complete or not at all, and the first one
    wins.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return key_ring(str(path))


def _private_key(setting: str) -> Ed25519PrivateKey:
    raw = _decoded(setting.encode())
    if raw is None:
        raw = _read(Path(setting))
    if raw.lstrip().startswith(b"-----BEGIN"):
        return _from_pem(raw)
    if len(raw) != _KEY_BYTES:
        raw = _decoded(raw) or b""
    if len(raw) != _KEY_BYTES:
        raise SettingsError("RIVERRUN_MODEL_KEY is not an Ed25519 private key", hint=_KEY_HINT)
    return Ed25519PrivateKey.from_private_bytes(raw)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError):
        # A mistyped key must not end up in a log, hence no path and no cause.
        raise SettingsError("RIVERRUN_MODEL_KEY is neither a key nor a readable file", hint=_KEY_HINT) from None


def _from_pem(content: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        raise SettingsError("RIVERRUN_MODEL_KEY is a PEM file that cannot be read", hint=_KEY_HINT) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError("RIVERRUN_MODEL_KEY is a PEM of another kind of key", hint=_KEY_HINT)
    return key


def _public_key(text: str) -> Ed25519PublicKey:
    raw = _decoded(text.encode())
    if raw is None:
        # Not quoted: whoever mistakes one kind of key for the other has put a secret here.
        raise SettingsError(
            "RIVERRUN_MODEL_TRUSTED_KEYS holds what is no public key",
            hint="give base64 of 32-byte Ed25519 public keys, with commas between them; what it holds is not shown",
        )
    return Ed25519PublicKey.from_public_bytes(raw)


def _decoded(text: bytes) -> bytes | None:
    """Return the 32 bytes that ``text`` is the base64 of, else None."""
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == _KEY_BYTES else None
