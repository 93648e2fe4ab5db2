"""A snapshot is opened only if it is whole, signed by a trusted key, and what its header says."""

from __future__ import annotations

import json
import resource
import stat
import struct
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from river import linear_model

from riverrun.errors import SettingsError
from riverrun.models import pickling
from riverrun.models.digest import digest
from riverrun.models.rehearsal import Limits
from riverrun.models.signing import KeyRing, SignatureError, create_key, key_ring
from riverrun.models.snapshot import (
    Header,
    SnapshotError,
    captured,
    header_of,
    library_versions,
    opened,
    sealed,
)

KEYS = KeyRing(Ed25519PrivateKey.from_private_bytes(bytes(32)))
OTHERS = KeyRing(Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32))


def _file(keys: KeyRing = KEYS) -> tuple[Header, bytes]:
    model = linear_model.LogisticRegression()
    model.learn_one({"x": 1.0}, y=True)
    payload, state_digest = captured(model)
    header = Header("p", "m", 10, 5, {"p.examples/0/0": 10}, state_digest, "c", "f", 1, library_versions())
    return header, sealed(header, payload, keys)


def test_a_snapshot_opens_as_it_was_sealed() -> None:
    """Header and model come back equal."""
    header, file = _file()
    found, model = opened(file, KEYS)
    assert found == header_of(file, KEYS) == header
    assert digest(model) == header.digest


@given(st.data())
def test_no_altered_byte_goes_unnoticed(data: st.DataObject) -> None:
    """A file with any bit changed, or cut or extended anywhere, is refused before it is unpickled."""
    _, file = _file()
    place = data.draw(st.integers(0, len(file) - 1))
    flipped = bytearray(file)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (bytes(flipped), file[:place], file + b"\0", file[place:]):
        if damaged != file:
            with pytest.raises(SnapshotError):
                opened(damaged, KEYS)


def test_a_forged_snapshot_is_never_unpickled(monkeypatch: pytest.MonkeyPatch) -> None:
    """One signed by another key, or by nobody, does not reach the unpickler."""
    monkeypatch.setattr(pickling._Unpickler, "load", lambda _: pytest.fail("it was unpickled"))
    _, forged = _file(OTHERS)
    _, mine = _file()
    for file in (forged, mine[:-64] + bytes(64), mine[:-64] + forged[-64:]):
        with pytest.raises(SnapshotError, match="not by a trusted key"):
            opened(file, KEYS)


def test_state_must_be_the_one_that_was_digested() -> None:
    """A signed file whose state has another digest is refused, and so is one that holds what it may not."""
    header, _ = _file()
    payload, _ = captured(linear_model.LogisticRegression())
    with pytest.raises(SnapshotError, match="digest"):
        opened(sealed(header, payload, KEYS), KEYS)
    with pytest.raises(SnapshotError, match=r"os\.|posix"):
        opened(sealed(header, b"\x80\x05\x8c\x02os\x8c\x06system\x93.", KEYS), KEYS)


def _calls(module: str, name: str, number: int) -> bytes:
    """Assemble the pickle of a list that holds what ``module.name`` makes of a number."""
    names = b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name))
    return b"\x80\x05](" + names + b"\x93\x8a\x08" + number.to_bytes(8, "little", signed=True) + b"\x85Re."


@pytest.mark.parametrize(
    ("module", "name"),
    [("builtins", "bytearray"), ("builtins", "bytes"), ("numpy", "ndarray")],
)
def test_a_signed_bomb_is_refused_under_the_limit_of_memory(module: str, name: str) -> None:
    """A snapshot that is well signed, holds allowed names only, and would take 4 GB, never takes them here."""
    header, _ = _file()
    bomb = sealed(header, _calls(module, name, 1 << 32), KEYS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SnapshotError, match=r"cannot be loaded: it takes more than 64 MB"):
        opened(bomb, KEYS, limits=Limits(memory_mb=64))
    # In kilobytes.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 64 * 1024


def test_header_of_another_riverrun_is_refused_in_words() -> None:
    """A signed header with other fields gives the one error, not a TypeError."""
    head = json.dumps({"model": "m"}).encode()
    body = b"riverrun-model-1" + struct.pack(">I", len(head)) + head + struct.pack(">Q", 0)
    with pytest.raises(SnapshotError, match="header"):
        opened(body + KEYS.sign(b"riverrun snapshot", body), KEYS)


def test_old_keys_can_stay_trusted() -> None:
    """After a change of key, the old one's snapshots open while its public half is listed."""
    _, old = _file(OTHERS)
    secret = b64encode(bytes(32)).decode()
    with pytest.raises(SnapshotError):
        opened(old, key_ring(secret))
    both = key_ring(secret, OTHERS.public_key() + ", ")
    opened(old, both)
    opened(_file()[1], both)
    reader = key_ring("", KEYS.public_key())
    opened(_file()[1], reader)
    with pytest.raises(SettingsError, match=r"no key|RIVERRUN_MODEL_KEY"):
        reader.sign(b"purpose", b"content")


def test_signature_is_for_one_purpose() -> None:
    """What was signed as one thing does not pass for another."""
    signature = KEYS.sign(b"snapshot", b"content")
    with pytest.raises(SignatureError):
        KEYS.verify(b"version", b"content", signature)


def _pem(key: Ed25519PrivateKey | X25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "content",
    [lambda key: key.private_bytes_raw(), lambda key: b64encode(key.private_bytes_raw()) + b"\n", _pem],
)
def test_keys_are_read_from_files(tmp_path: Path, content: Callable[[Ed25519PrivateKey], bytes]) -> None:
    """A key file may hold the bytes, their base64, or a PEM."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    path = tmp_path / "key"
    path.write_bytes(content(key))
    assert key_ring(str(path)).public_key() == KeyRing(key).public_key()


def test_unreadable_keys_are_refused_without_being_shown(tmp_path: Path) -> None:
    """A key that cannot be read gives a settings error that does not hold it."""
    path = tmp_path / "key"
    path.write_bytes(_pem(X25519PrivateKey.generate()))
    short = b64encode(bytes(31)).decode()
    for setting in (str(path), "secret-but-mistyped", short, str(tmp_path), "nul\0byte"):
        with pytest.raises(SettingsError) as caught:
            key_ring(setting)
        assert setting not in str(caught.value)
    # One who takes the halves for each other puts a secret here.
    with pytest.raises(SettingsError, match="TRUSTED") as caught:
        key_ring("", "-----BEGIN PRIVATE KEY----- not-a-key")
    assert "not-a-key" not in str(caught.value)


def test_a_made_key_is_private_and_kept(tmp_path: Path) -> None:
    """The key that the embedded set-up makes is the owner's alone, and the same the next time."""
    path = tmp_path / "data" / "model.key"
    made = create_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert create_key(path).public_key() == made.public_key()
    assert [entry.name for entry in path.parent.iterdir()] == ["model.key"]


def test_header_can_be_replaced_only_by_its_owner() -> None:
    """A header that claims another position needs a signature of its own."""
    _, file = _file()
    claimed = file.replace(b'"position":10', b'"position":90')
    assert claimed != file
    with pytest.raises(SnapshotError):
        header_of(claimed, KEYS)
