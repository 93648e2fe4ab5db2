"""JSON as its standard says, and as a JSON Schema says, for those who judge: it shares nothing with what is judged."""

from __future__ import annotations

import json
from typing import Any, NoReturn

__all__ = ["NotJsonError", "strict_json"]


class NotJsonError(ValueError):
    """Bytes are no JSON that anybody need take."""


def strict_json(data: bytes) -> Any:
    """Return what JSON in UTF-8 says.

    Raises
    ------
    NotJsonError
        If it is none, is nested too deep for Python, or an object in it has two members of one name.

    Examples
    --------
    >>> strict_json(b'{"a": [1]}')
    {'a': [1]}
    """
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise NotJsonError(str(error)) from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotJsonError("a member twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise NotJsonError(name)
