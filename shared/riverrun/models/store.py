"""The model store: files named by their content, in a folder or a bucket, by way of fsspec.

``<pipeline>/<model>/<position, 12 digits>-<digest, 16 digits>.model``. Names sort by position. A file appears
whole or not at all, and one that is written twice is written the same. Whatever goes wrong below fsspec, each
backend with its own exceptions, is an `UnavailableError` here: the caller keeps what it has and tries again.
"""

from __future__ import annotations

import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fsspec.core import url_to_fs

from riverrun.errors import Dependency, RiverrunError, SettingsError, UnavailableError
from riverrun.masking import mask_said, mask_url

__all__ = ["MissingModelError", "ModelStore", "ModelStoreUnavailableError", "StoredModel"]

_NAME: Final = re.compile(r"(\d{12})-([0-9a-f]{16})\.model")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]")
_WHOLE_PUT: Final = frozenset({"memory", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "r2"})
"""Protocols whose objects appear only when complete; elsewhere a file is written beside and renamed."""


class MissingModelError(RiverrunError):
    """A snapshot is not in the store: it was deleted, or this is another store."""


class ModelStoreUnavailableError(UnavailableError):
    """The model store cannot be read or written."""

    dependency = Dependency.MODEL_STORE


@dataclass(frozen=True, slots=True, order=True)
class StoredModel:
    """A file in the store; ordered by position."""

    position: int
    digest: str
    path: str


class ModelStore:
    """Writes, lists, reads and prunes snapshots below one URL.

    Parameters
    ----------
    url
        Any fsspec URL (``/data/models``, ``s3://bucket/models``), or a plain path.

    Examples
    --------
    >>> store = ModelStore("memory://doctest")
    >>> path = store.write("flights", "ftrl", 10_000, "ab" * 32, b"content")
    >>> path
    'flights/ftrl/000000010000-abababababababab.model'
    >>> store.read(path)
    b'content'
    >>> [entry.position for entry in store.entries("flights", "ftrl")]
    [10000]
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._shown = mask_url(url)
        try:
            filesystem, root = url_to_fs(url)
        except (ImportError, ValueError, TypeError) as error:
            # No cause: it may quote the URL.
            raise SettingsError(
                f"RIVERRUN_MODEL_STORE is {self._shown!r}, which cannot be used: {mask_said(str(error), self._url)}",
                hint="install fsspec's package for that protocol (s3fs, gcsfs), or give a folder",
            ) from None
        except (OSError, EOFError) as error:
            # Some backends connect at once.
            raise self._unavailable("reached", error) from None
        self._files = filesystem
        self._root = root.rstrip("/")
        protocols = filesystem.protocol
        names = {protocols} if isinstance(protocols, str) else set(protocols)
        self._whole_put = bool(names & _WHOLE_PUT)
        self._local = "file" in names

    def write(self, pipeline: str, model: str, position: int, digest: str, content: bytes) -> str:
        """Store a snapshot; return its path below the store's URL.

        Raises
        ------
        UnavailableError
            If the store cannot be written.
        """
        path = f"{_folder(pipeline, model)}/{position:012d}-{digest[:16]}.model"
        target = f"{self._root}/{path}"
        try:
            if self._whole_put:
                self._files.pipe_file(target, content)
            else:
                self._write_beside(target, content)
        except Exception as error:
            raise self._unavailable("written", error) from error
        return path

    def read(self, path: str, *, most_mb: int | None = None) -> bytes:
        """Return a snapshot's bytes.

        Parameters
        ----------
        path
            Below the store's URL.
        most_mb
            The size from which on a file is not fetched, in MiB.

        Raises
        ------
        MissingModelError
            If it is not there, the path leads out of the store, or it is too large to be a snapshot.
        UnavailableError
            If the store cannot be read.
        """
        if ".." in path.split("/"):
            raise MissingModelError(f"{path!r} is not a path inside the model store")
        try:
            size = self._files.size(f"{self._root}/{path}") if most_mb is not None else 0
            if most_mb is None or size is None or size <= most_mb << 20:
                return self._files.cat_file(f"{self._root}/{path}")
        except FileNotFoundError as error:
            raise MissingModelError(
                f"{path} is not in the model store at {self._shown}",
                hint="check RIVERRUN_MODEL_STORE, which must be the learner's, and its retention",
            ) from error
        except Exception as error:
            raise self._unavailable("read", error) from error
        raise MissingModelError(
            f"{path} in the model store has {size:,} bytes, too many for a snapshot here",
            hint=f"if it is one, raise RIVERRUN_MODEL_MEMORY_MB, which is {most_mb}",
        )

    def entries(self, pipeline: str, model: str) -> list[StoredModel]:
        """Return a model's snapshots, oldest first; other files are passed over.

        Raises
        ------
        UnavailableError
            If the store cannot be listed.
        """
        folder = _folder(pipeline, model)
        try:
            self._files.invalidate_cache()
            paths = self._files.ls(f"{self._root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        except Exception as error:
            raise self._unavailable("listed", error) from error
        found = []
        for path in paths:
            name = path.rsplit("/", 1)[-1]
            match = _NAME.fullmatch(name)
            if match:
                found.append(StoredModel(int(match[1]), match[2], f"{folder}/{name}"))
        return sorted(found)

    def prune(self, pipeline: str, model: str, keep: int, upto: int | None = None) -> int:
        """Delete all but the newest ``keep`` snapshots of a model; return how many went.

        Those beyond position ``upto`` neither count nor go: they are of another log, or another learner's.

        Raises
        ------
        UnavailableError
            If the store cannot be listed or written.
        """
        entries = self.entries(pipeline, model)
        if upto is not None:
            entries = [entry for entry in entries if entry.position <= upto]
        doomed = entries[: -keep or None]
        self.delete([entry.path for entry in doomed])
        return len(doomed)

    def delete(self, paths: list[str]) -> None:
        """Delete snapshots; those already gone are passed over.

        Raises
        ------
        UnavailableError
            If the store cannot be written.
        """
        for path in paths:
            try:
                self._files.rm_file(f"{self._root}/{path}")
            except FileNotFoundError:
                continue
            except Exception as error:
                raise self._unavailable("written", error) from error

    def _write_beside(self, target: str, content: bytes) -> None:
        folder = target.rsplit("/", 1)[0]
        self._files.makedirs(folder, exist_ok=True)
        draft = f"{target}.{uuid.uuid4().hex}"
        try:
            with self._files.open(draft, "wb") as file:
                file.write(content)
                if self._local:
                    file.flush()
                    os.fsync(file.fileno())
            if self._local:
                Path(draft).replace(target)
                _sync_folder(folder)
            else:
                self._files.mv(draft, target)
        except Exception:
            if self._files.exists(draft):
                self._files.rm_file(draft)
            raise

    def _unavailable(self, what: str, error: Exception) -> ModelStoreUnavailableError:
        return ModelStoreUnavailableError(
            f"the model store at {self._shown} cannot be {what}: {mask_said(str(error), self._url)}",
            hint="check RIVERRUN_MODEL_STORE, the disk and the permissions",
        )


def _folder(pipeline: str, model: str) -> str:
    """Return a model's folder; what a path cannot hold becomes its code, so that names stay apart."""
    return "/".join(_UNSAFE.sub(lambda match: f"%{ord(match[0]):04x}", name) for name in (pipeline, model))


def _sync_folder(folder: str) -> None:
    """Make a rename in ``folder`` survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
