"""The runtime's settings, read once from the environment at start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from riverrun.errors import SettingsError
from riverrun.runtime.memory import Memory

DEFAULT_FOLDER = ".riverrun"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a process runs its stages.

    Parameters
    ----------
    data_folder
        Where the embedded servers and local state live.
    model_store
        fsspec URL of the model store; empty for ``<data_folder>/models``.
    batch_limit
        Most input records in one transaction.
    slice_ms
        Time that one transaction may take to fold; the batch size adapts to it. Milliseconds.
    state_interval_ms
        How long state may trail its commit before it is written, under a backlog; a quarter of it otherwise.
        Milliseconds.
    idle_limit_ms
        How long ``ingest`` waits for an input topic that has been read to its end before it goes on without it; 0
        to wait only for records that are known to be there. Every event's latency may grow by as much. Milliseconds.
    offsets_interval_ms
        How often the group's offsets go into the transaction, for lag tools. Milliseconds.
    drain_limit_ms
        How long a stopping process may take before it is ended, which loses nothing. Milliseconds.
    lag_limit_ms
        For how long a task may not have caught up with its inputs before the service says that it lags. Milliseconds.
    backoff_first_ms, backoff_most_ms
        Bounds of the exponential wait after a failure. Milliseconds.
    model_memory_mb
        Memory that opening a model's snapshot may take, beyond what the process has. MiB.
    memory
        Bounds of whatever grows.
    """

    data_folder: Path = Path(DEFAULT_FOLDER)
    model_store: str = ""
    batch_limit: int = 2_000
    slice_ms: int = 200
    state_interval_ms: int = 1_000
    idle_limit_ms: int = 0
    offsets_interval_ms: int = 1_000
    drain_limit_ms: int = 4_500
    lag_limit_ms: int = 10_000
    backoff_first_ms: int = 100
    backoff_most_ms: int = 5_000
    model_memory_mb: int = 1_024
    memory: Memory = field(default_factory=Memory)

    @property
    def state_folder(self) -> Path:
        """Where local state is kept, one folder a pipeline, stage and partition."""
        return self.data_folder / "state"

    @property
    def model_store_url(self) -> str:
        """The model store's URL, with the default filled in."""
        return self.model_store or str((self.data_folder / "models").absolute())

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read ``RIVERRUN_DATA``, ``_MODEL_STORE``, ``_MEMORY`` (``256MB``) and ``RIVERRUN_<NUMBER SETTING>``.

        Raises
        ------
        SettingsError
            If a number is not a whole one or too small, or the memory no size or too little.

        Examples
        --------
        >>> Settings.from_environment({"RIVERRUN_BATCH_LIMIT": "500"}).batch_limit
        500
        """
        env = os.environ if environment is None else environment
        numbers: dict[str, int] = {}
        for name in (
            "batch_limit",
            "slice_ms",
            "state_interval_ms",
            "idle_limit_ms",
            "offsets_interval_ms",
            "drain_limit_ms",
            "lag_limit_ms",
            "backoff_first_ms",
            "backoff_most_ms",
            "model_memory_mb",
        ):
            variable = f"RIVERRUN_{name.upper()}"
            text = env.get(variable)
            if text is None:
                continue
            least = 0 if name == "idle_limit_ms" else 1
            if not text.isdecimal() or int(text) < least:
                raise SettingsError(f"{variable} is {text!r}", hint=f"give a whole number of at least {least}")
            numbers[name] = int(text)
        return cls(
            data_folder=Path(env.get("RIVERRUN_DATA", DEFAULT_FOLDER)),
            model_store=env.get("RIVERRUN_MODEL_STORE", ""),
            memory=Memory.parsed(env.get("RIVERRUN_MEMORY", "")),
            **numbers,
        )
