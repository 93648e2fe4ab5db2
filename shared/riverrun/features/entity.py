"""What is kept of one entity of one group, and how a table sees those of a group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from riverrun.features.panes import Ring

__all__ = ["Entities", "Entity"]


class Entity:
    """An entity's partial: a ring for each layout of its group, once an event needed it.

    Attributes
    ----------
    position : int
        The position of the next event that is not folded into it.
    rings : list of Ring or None
        As many as the group has layouts.
    """

    __slots__ = ("position", "rings")

    def __init__(self, position: int, rings: list[Ring | None]) -> None:
        self.position = position
        self.rings = rings


class Entities(Protocol):
    """One group's entities by name: a dictionary, or what bounds itself.

    ``get`` is for the entity of an event, which has so been seen and may be changed; ``[name]`` only looks.
    """

    def get(self, name: str, /) -> Entity | None:
        """Return an entity that an event has to do with, None if there is none yet."""
        ...

    def __getitem__(self, name: str, /) -> Entity: ...

    def __setitem__(self, name: str, entity: Entity, /) -> None: ...

    def __delitem__(self, name: str, /) -> None: ...

    def __contains__(self, name: object, /) -> bool: ...

    def __iter__(self) -> Iterator[str]: ...

    def __len__(self) -> int: ...

    def clear(self) -> None:
        """Forget all of them."""
        ...
