"""An entity's name: the values of its fields as one text, different for different values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from riverrun.records.items import FieldValue

__all__ = ["EntityOf", "entity_of"]

EntityOf = Callable[[Mapping[str, FieldValue]], str | None]
"""From an event's fields to the entity's name; None if one of them is missing: such an event has no entity."""


def entity_of(fields: Sequence[str]) -> EntityOf:
    r"""Return the function that names the entity of an event.

    Names are injective for values of the same kinds, which the fields' types ensure: with several fields, the
    separator ``|`` and the backslash are escaped within a value.

    Parameters
    ----------
    fields : sequence of str
        The names of the fields, in order; none for the one entity that all events belong to.

    Examples
    --------
    >>> entity_of(["origin"])({"origin": "JFK"})
    'JFK'
    >>> entity_of(["carrier", "flight"])({"carrier": "A|A", "flight": 1})
    'A\\|A|1'
    >>> entity_of(["origin"])({"origin": None}) is None
    True
    """
    if not fields:
        return _everything
    if len(fields) == 1:
        return _single(fields[0])
    return _several(tuple(fields))


def _everything(fields: Mapping[str, FieldValue]) -> str | None:
    return ""


def _single(name: str) -> EntityOf:
    def run(fields: Mapping[str, FieldValue]) -> str | None:
        value = fields.get(name)
        return value if value is None or isinstance(value, str) else _text(value)

    return run


def _several(names: tuple[str, ...]) -> EntityOf:
    def run(fields: Mapping[str, FieldValue]) -> str | None:
        parts = []
        for name in names:
            value = fields.get(name)
            if value is None:
                return None
            text = value if isinstance(value, str) else _text(value)
            if "\\" in text or "|" in text:
                text = text.replace("\\", "\\\\").replace("|", "\\|")
            parts.append(text)
        return "|".join(parts)

    return run


def _text(value: bool | int | float | bytes) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and value == 0.0:
        return "0.0"  # -0.0 equals it, so it is the same entity
    return repr(value)
