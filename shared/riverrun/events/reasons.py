"""Why a producer's record is not accepted: every reason code, named and explained in this one place."""

from __future__ import annotations

from typing import Final

from riverrun.explained import ExplainedCode

__all__ = ["MAX_DETAIL", "Reason", "RefusedError"]

MAX_DETAIL: Final = 500
"""Longest detail of a dead letter, in characters."""


class Reason(ExplainedCode):
    """The reason code of a dead letter; `explanation` says what it means and so what a producer should change.

    Examples
    --------
    >>> Reason.NOT_FINITE, Reason.NOT_FINITE.explanation
    (<Reason.NOT_FINITE: 'not_finite'>, 'A number is NaN or infinite.')
    """

    EMPTY = "empty", "The record has no value, or one of no bytes."
    TOO_LARGE = "too_large", "The value is longer than messages may be."
    UNKNOWN_FORMAT = (
        "unknown_format",
        "The value is not in the stream's format: neither framed Avro nor JSON.",
    )
    TRUNCATED = "truncated", "The Avro record ends before its last field does."
    UNDECODABLE = "undecodable", "The bytes do not decode with the schema that they name."
    TRAILING_BYTES = "trailing_bytes", "Bytes follow the end of the Avro record."
    NOT_CANONICAL = (
        "not_canonical",
        "The record decodes, but no Avro encoder writes it so: bytes were damaged or forged.",
    )
    UNKNOWN_SCHEMA = "unknown_schema", "No schema is known by the id in the frame."
    WRONG_SCHEMA = (
        "wrong_schema",
        "The schema id is another record's, or of a version that the stream's cannot read.",
    )
    NOT_JSON = "not_json", "The value is not well-formed JSON in UTF-8."
    DUPLICATE_FIELD = "duplicate_field", "A JSON object names a field twice."
    MISSING_FIELD = "missing_field", "A field that has no default is absent."
    WRONG_TYPE = "wrong_type", "A value is not of the type that the schema gives its field."
    NOT_FINITE = "not_finite", "A number is NaN or infinite."
    OUT_OF_RANGE = (
        "out_of_range",
        "A value does not fit its type, is no symbol of its enum, or is too long a text.",
    )
    BAD_TIME = "bad_time", "The event time is missing, before 1970, or too far ahead of the time of receipt."
    BAD_KEY = "bad_key", "The key is missing or empty."
    BAD_ID = "bad_id", "The event's id is missing or empty."
    MISROUTED = (
        "misrouted",
        "The record is in another partition than its key says: the producer does not use murmur2.",
    )
    RULE = "rule", "The event breaks one of the pipeline's rules."


class RefusedError(Exception):
    """A record is not accepted; caught where the dead letter is made, never seen outside of decoding.

    Parameters
    ----------
    reason
        The code.
    detail
        What was wrong, in words.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail if len(detail) <= MAX_DETAIL else f"{detail[: MAX_DETAIL - 3]}..."
