"""What a pipeline predicts: a condition or a number that a later event tells."""

from __future__ import annotations

from dataclasses import dataclass, field

from riverrun.pipeline.durations import Duration, parse_duration
from riverrun.pipeline.errors import DefinitionError
from riverrun.pipeline.expressions import Expression
from riverrun.pipeline.locations import Location, caller_location

__all__ = ["Label"]


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """The truth about a prediction, from a later event of the label stream with the same key.

    Parameters
    ----------
    value : Expression
        A condition (binary classification) or a number (regression) over one stream's fields. An event in
        which it is missing labels nothing.
    join : str
        The field that joins the event to the prediction: the key field of both streams.
    wait : duration
        How long after the event to predict on, in event time, a label is waited for.
    otherwise : bool, float or None
        The label of a prediction whose wait is over; None lets it expire unlabelled.
    recurring : bool
        Whether many events to predict on share a value of ``join`` (a customer's, not a flight's). A feature
        may then aggregate the label stream by it: the customer's past. Otherwise that could only be the
        label itself.

    Raises
    ------
    DefinitionError
        If a parameter is not of the right type or the duration cannot be read.
    """

    value: Expression
    join: str = field(kw_only=True)
    wait: Duration = field(kw_only=True)
    otherwise: bool | float | None = field(default=None, kw_only=True)
    recurring: bool = field(default=False, kw_only=True)
    location: Location | None = field(default_factory=caller_location, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.value, Expression):
            raise DefinitionError(
                f"a label is an expression over a stream's fields, not {self.value!r}",
                hint="write for instance Label(arrived.arr_delay > 15, ...)",
                code="bad-label",
            )
        if not isinstance(self.join, str):
            raise DefinitionError(f"join= of a label is the name of a field, not {self.join!r}", code="bad-label")
        if not isinstance(self.otherwise, bool | int | float | None):
            raise DefinitionError(
                f"otherwise= of a label is True, False, a number or None, not {self.otherwise!r}",
                code="bad-label",
            )
        parse_duration(self.wait)

    @property
    def wait_ms(self) -> int:
        """``wait`` in milliseconds."""
        return parse_duration(self.wait)
