"""The settings of `ingest`, read once from the environment at start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from riverrun.errors import SettingsError

__all__ = ["IngestSettings"]

_KIB: Final = 1024


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """How strict `ingest` is with producers' bytes.

    Parameters
    ----------
    max_message_bytes
        Longest value that is decoded; longer ones are dead letters.
    max_text
        Longest string or bytes field, in characters or bytes.
    check_canonical
        Whether an Avro record must be encoded as an encoder would: half of all flipped bits are noticed only so.
    max_kept_bytes
        Most of an original record that a dead letter keeps: the broker takes no more than about 1 MB at once.
    """

    max_message_bytes: int = 256 * _KIB
    max_text: int = 16 * _KIB
    check_canonical: bool = True
    max_kept_bytes: int = 900 * _KIB

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> IngestSettings:
        """Read ``RIVERRUN_MAX_MESSAGE_BYTES``, ``_MAX_TEXT``, ``_MAX_KEPT_BYTES`` and ``_CHECK_CANONICAL``.

        Raises
        ------
        SettingsError
            If a number is not a positive integer or the switch is not ``true`` or ``false``.

        Examples
        --------
        >>> IngestSettings.from_environment({"RIVERRUN_MAX_MESSAGE_BYTES": "4096"}).max_message_bytes
        4096
        """
        env = os.environ if environment is None else environment
        check = env.get("RIVERRUN_CHECK_CANONICAL", "true").strip().lower()
        if check not in ("true", "false"):
            raise SettingsError(f"RIVERRUN_CHECK_CANONICAL is {check!r}", hint="say true or false")
        return cls(
            max_message_bytes=_number(env, "RIVERRUN_MAX_MESSAGE_BYTES", cls().max_message_bytes),
            max_text=_number(env, "RIVERRUN_MAX_TEXT", cls().max_text),
            check_canonical=check == "true",
            max_kept_bytes=_number(env, "RIVERRUN_MAX_KEPT_BYTES", cls().max_kept_bytes),
        )


def _number(environment: Mapping[str, str], variable: str, default: int) -> int:
    text = environment.get(variable)
    if text is None:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise SettingsError(f"{variable} is {text!r}", hint="give a positive whole number")
    return int(text)
