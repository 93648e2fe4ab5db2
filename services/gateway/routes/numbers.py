"""Whole numbers in paths and queries, written as JSON writes them: pydantic would take more than the document says."""

from __future__ import annotations

import re
from typing import Final

from pydantic import BeforeValidator

__all__ = ["PLAIN"]

_PLAIN: Final = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)


def _check(given: object) -> object:
    if isinstance(given, str) and not _PLAIN.fullmatch(given):
        raise ValueError("this is no whole number")
    return given


PLAIN: Final = BeforeValidator(_check)
"""To be put last into an ``Annotated[int, ...]``: no spaces, no underscores, no leading zeros, no fraction.

Before the ``Query`` or ``Path``, it would keep their bounds out of the OpenAPI document.
"""
