"""What a label is: which events carry it, how it is read, whose it is and how long it is waited for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from riverrun.pipeline import Pipeline, compile_expression
from riverrun.records.items import FieldValue

__all__ = ["LabelRule", "as_label", "join_text"]


@dataclass(frozen=True, slots=True)
class LabelRule:
    """A pipeline's label, ready to run.

    Attributes
    ----------
    stream : str
        The short name of the stream whose events carry labels.
    join_field : str or None
        The field whose value is the key of the predictions that a label belongs to; None if that is the
        event's key.
    label : callable
        Computes the label from the fields of such an event; None if it has none.
    wait_ms : int
        How long a prediction waits for its label, in milliseconds of event time. At least 0.
    otherwise : float or None
        The label of a prediction whose wait is over; None if it shall have none.
    recurring : bool, default False
        Whether events to predict on share join values, so that a label tells nothing about those that come
        later.
    """

    stream: str
    join_field: str | None
    label: Callable[[Mapping[str, FieldValue]], float | None]
    wait_ms: int
    otherwise: float | None
    recurring: bool = False

    @classmethod
    def of(cls, pipeline: Pipeline) -> LabelRule:
        """Compile a pipeline's label.

        Raises
        ------
        DefinitionError
            If the label refers to no stream's field.
        ExpressionError
            If its expression has no kind.
        """
        label, stream = pipeline.label, pipeline.label_stream
        evaluate = compile_expression(label.value)
        return cls(
            stream=stream.name,
            join_field=None if label.join == stream.key_field else label.join,
            label=lambda fields: as_label(evaluate(fields)),
            wait_ms=label.wait_ms,
            otherwise=None if label.otherwise is None else as_label(label.otherwise),
            recurring=label.recurring,
        )


def as_label(value: FieldValue) -> float | None:
    """Turn the value of a label expression into a label.

    Returns
    -------
    float or None
        1.0 or 0.0 for a condition, the number for a finite number, else None: no model can learn from it.

    Examples
    --------
    >>> as_label(True), as_label(12), as_label(float("nan")), as_label(None)
    (1.0, 12.0, None, None)
    """
    if isinstance(value, bool | int | float):
        number = float(value)
        return number if math.isfinite(number) else None
    return None


def join_text(value: FieldValue) -> str | None:
    """Return a join value as text, as an event's key is text; None for a missing value.

    Examples
    --------
    >>> join_text("UA1545"), join_text(1545), join_text(True), join_text(b"UA"), join_text(None)
    ('UA1545', '1545', 'true', '5541', None)
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
