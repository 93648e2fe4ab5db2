"""What the stages that hold models need: the store, the keys, and what marks the pipeline's code."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from riverrun.models.signing import KeyRing, create_key, key_ring
from riverrun.pipeline import Pipeline
from riverrun.pipeline.load import module_name

__all__ = ["code_hash", "code_modules", "model_keys"]


def model_keys(data_folder: Path, environment: Mapping[str, str] | None = None) -> KeyRing:
    """Return the keys that sign and verify models.

    From ``RIVERRUN_MODEL_KEY`` and ``RIVERRUN_MODEL_TRUSTED_KEYS``; without the first, a key of this data folder's own.
    """
    env = os.environ if environment is None else environment
    setting = env.get("RIVERRUN_MODEL_KEY", "")
    trusted = env.get("RIVERRUN_MODEL_TRUSTED_KEYS", "")
    if setting or trusted:
        return key_ring(setting, trusted)
    return create_key(data_folder / "keys" / "model.key")


@lru_cache(maxsize=8)
def code_hash(pipeline: Pipeline) -> str:
    """Return the SHA-256 of the pipeline file, 16 hexadecimal digits; empty for one made in a notebook.

    The file is read once: what is written there later is not what this process runs.
    """
    file = _file(pipeline)
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file is not None else ""


@lru_cache(maxsize=8)
def code_modules(pipeline: Pipeline) -> frozenset[str]:
    """Return the modules whose classes may be part of a model, beside River's: the pipeline file's own."""
    file = _file(pipeline)
    return frozenset({module_name(file)}) if file is not None else frozenset()


def _file(pipeline: Pipeline) -> Path | None:
    if pipeline.location is None:
        return None
    file = Path(pipeline.location.file)
    return file if file.is_file() else None
