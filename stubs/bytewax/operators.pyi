from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

V = TypeVar("V")
W = TypeVar("W")
S = TypeVar("S")

class StatefulBatchLogic(Generic[V, W, S]):
    def on_batch(self, values: Sequence[V]) -> tuple[Iterable[W], bool]: ...
    def snapshot(self) -> S: ...

# The operators, some of which are named as builtins are.
def __getattr__(name: str) -> Any: ...
