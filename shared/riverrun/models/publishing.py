"""A published version: the record that points at a snapshot, what it claims, and how the claim is checked.

The record's signature covers what it claims, not the file's bytes: the same state pickles to different bytes
each time, and a learner that replays after a crash makes the same record again, to the letter. The file has a
signature of its own. Record and file must agree on pipeline, model, position, digest and feature set, so that
neither can be replaced by another that is just as well signed.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection
from typing import Final

from riverrun.models.rehearsal import DEFAULT_LIMITS, Limits
from riverrun.models.signing import KeyRing, SignatureError
from riverrun.models.snapshot import SnapshotError, header_of, opened
from riverrun.models.store import ModelStore
from riverrun.records.items import ModelVersion, Source

__all__ = ["kept_version", "open_kept", "open_version", "sign_version", "verify_version"]

_PURPOSE: Final = b"riverrun version"


def sign_version(item: ModelVersion, pipeline: str, keys: KeyRing) -> None:
    """Put the signature of what a record claims into it.

    Raises
    ------
    SettingsError
        If there is no key to sign with.
    """
    item.signature = base64.b64encode(keys.sign(_PURPOSE, _claim(item, pipeline))).decode()


def verify_version(item: ModelVersion, pipeline: str, keys: KeyRing) -> None:
    """Return if a trusted key signed what the record claims.

    Raises
    ------
    SignatureError
        If none did.
    """
    try:
        signature = base64.b64decode(item.signature, validate=True)
    except (binascii.Error, ValueError):
        raise SignatureError(f"version {item.position} of model {item.model!r} has no proper signature") from None
    keys.verify(_PURPOSE, _claim(item, pipeline), signature)


def open_version(
    item: ModelVersion,
    pipeline: str,
    store: ModelStore,
    keys: KeyRing,
    modules: Collection[str] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> object:
    """Fetch the snapshot that a record points at, and return the model, after every check there is.

    Parameters
    ----------
    item
        The record.
    pipeline
        The pipeline's name.
    store
        Where the snapshot lies.
    keys, modules, limits
        See `riverrun.models.snapshot.opened`; a file larger than the limit of memory is not even fetched.

    Raises
    ------
    SignatureError
        If the record is not signed by a trusted key.
    SnapshotError
        If the file is forged, damaged, or not the one that the record means.
    MissingModelError
        If the file is not there, or is too large.
    UnavailableError
        If the store cannot be read.
    """
    verify_version(item, pipeline, keys)
    return open_kept(item, pipeline, store, keys, modules, limits)


def kept_version(uri: str, store: ModelStore, keys: KeyRing, limits: Limits = DEFAULT_LIMITS) -> ModelVersion:
    """Describe a snapshot by its own signed header: for when the record that points at it is lost, signature and all.

    Raises
    ------
    SnapshotError
        If the file is forged or damaged.
    MissingModelError
        If the file is not there, or is too large.
    UnavailableError
        If the store cannot be read.
    """
    header = header_of(store.read(uri, most_mb=limits.memory_mb), keys)
    return ModelVersion(
        model=header.model,
        position=header.position,
        time=header.time,
        parent=-1,
        uri=uri,
        digest=header.digest,
        signature="",
        code_hash=header.code_hash,
        feature_set=header.feature_set,
        libraries=dict(header.libraries),
        seed=header.seed,
        metrics={},
        source=Source("", -1, -1),
    )


def open_kept(
    item: ModelVersion,
    pipeline: str,
    store: ModelStore,
    keys: KeyRing,
    modules: Collection[str] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> object:
    """Return the model as `open_version` does, but take what ``item`` says for granted, as `kept_version` made it."""
    header, model = opened(store.read(item.uri, most_mb=limits.memory_mb), keys, modules, limits)
    wanted = (pipeline, item.model, item.position, item.digest, item.feature_set)
    found = (header.pipeline, header.model, header.position, header.digest, header.feature_set)
    if wanted != found:
        raise SnapshotError(
            f"{item.uri} holds {header.model!r} at {header.position} of pipeline {header.pipeline!r}, "
            f"not {item.model!r} at {item.position} as it was published",
            hint="the file was replaced: find out by whom; the learner publishes anew at its next snapshot",
        )
    return model


def _claim(item: ModelVersion, pipeline: str) -> bytes:
    claim = {
        "pipeline": pipeline,
        "model": item.model,
        "position": item.position,
        "time": item.time,
        "parent": item.parent,
        "uri": item.uri,
        "digest": item.digest,
        "code_hash": item.code_hash,
        "feature_set": item.feature_set,
        "seed": item.seed,
    }
    return json.dumps(claim, sort_keys=True, separators=(",", ":")).encode()
