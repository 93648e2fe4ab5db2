"""Strict parsing of JSON objects, one or a list of them: UTF-8, no NaN, no duplicate names, bounded depth."""

from __future__ import annotations

import json
from typing import NoReturn

import orjson

from riverrun.events.reasons import Reason, RefusedError

__all__ = ["parse_object", "parse_objects"]


def parse_object(data: bytes) -> dict[str, object]:
    """Parse a message that must be one JSON object.

    Raises
    ------
    RefusedError
        If it is not JSON in UTF-8, not an object, or names a field twice.

    Examples
    --------
    >>> parse_object(b'{"a": 1}')
    {'a': 1}
    """
    parsed = _parse(data)
    if not isinstance(parsed, dict):
        raise RefusedError(Reason.WRONG_TYPE, f"the value must be a JSON object, not {type(parsed).__name__}")
    # orjson keeps the last of two members of one name. Every member has a colon, so as many colons as members means
    # that there is no second one; only otherwise (a colon in a text, a nested object) a slower parser must look.
    if data.count(b":") != len(parsed):
        _refuse_duplicates(data)
    return parsed


def parse_objects(data: bytes) -> tuple[list[dict[str, object]], bool]:
    """Parse what is one JSON object or a list of them; return the objects, and whether it was a list.

    Raises
    ------
    RefusedError
        If it is not JSON in UTF-8, holds anything else, or an object names a field twice.

    Examples
    --------
    >>> parse_objects(b'[{"a": 1}, {}]'), parse_objects(b'{"a": 1}')
    (([{'a': 1}, {}], True), ([{'a': 1}], False))
    """
    if data[:1] == b"{":
        return [parse_object(data)], False
    parsed = _parse(data)
    if isinstance(parsed, dict):
        return [parse_object(data)], False
    if not isinstance(parsed, list):
        raise RefusedError(Reason.WRONG_TYPE, f"expected a JSON object or a list of them, not {type(parsed).__name__}")
    members = 0
    for position, each in enumerate(parsed):
        if not isinstance(each, dict):
            raise RefusedError(Reason.WRONG_TYPE, f"item {position} must be a JSON object, not {type(each).__name__}")
        members += len(each)
    if data.count(b":") != members:
        _refuse_duplicates(data)
    return parsed, True


def _parse(data: bytes) -> object:
    try:
        parsed: object = orjson.loads(data)
    except ValueError as error:
        raise RefusedError(Reason.NOT_JSON, f"the value is not JSON: {error}") from None
    return parsed


def _refuse_duplicates(data: bytes) -> None:
    try:
        json.loads(data, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RefusedError:
        raise
    except (ValueError, RecursionError) as error:
        raise RefusedError(Reason.NOT_JSON, f"the value is not acceptable JSON: {error}") from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RefusedError(Reason.DUPLICATE_FIELD, f"field {twice!r:.80} is given more than once")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
