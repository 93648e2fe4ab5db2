"""Puts off importing large libraries that another library imports for what few programs use of them.

River imports SciPy and pandas wherever one of its estimators might need them, which is two thirds of the memory of a
process that runs a linear model. Here a module stands in for such a library, and what is taken from it stands in
likewise; the library itself is imported the moment that one of them is used. So results are the same to the last bit.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["deferred"]


@contextmanager
def deferred(libraries: Collection[str], absent: Collection[str] = ()) -> Iterator[None]:
    """Put off the imports of libraries that are asked for meanwhile, but for those that are loaded already.

    Afterwards they are imported as usual by whoever names them; whoever has a stand-in gets what it stands for when
    it is first called, or something is taken from it. What cannot be put off: a class of the library that another
    class inherits from is imported at once.

    Parameters
    ----------
    libraries : collection of str
        Top-level modules.
    absent : collection of str
        Top-level modules that meanwhile cannot be found, as if they were not installed.

    Examples
    --------
    >>> import sys
    >>> _ = sys.modules.pop("colorsys", None)
    >>> with deferred(["colorsys"]):
    ...     from colorsys import rgb_to_hsv
    >>> "colorsys" in sys.modules
    False
    >>> rgb_to_hsv(0.0, 0.0, 1.0)[2], "colorsys" in sys.modules
    (1.0, True)
    """
    finder = _Finder({name for name in libraries if name not in sys.modules}, frozenset(absent) - sys.modules.keys())
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        finder.withdraw()


class _Finder(MetaPathFinder, Loader):
    """Finds a stand-in for every module of some libraries, and nothing for those of some others."""

    def __init__(self, libraries: set[str], absent: Collection[str]) -> None:
        self._libraries = libraries
        self._absent = absent

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        library = fullname.partition(".")[0]
        if library in self._absent:
            raise ModuleNotFoundError(f"{library} is not to be found here", name=library)
        return ModuleSpec(fullname, self, is_package=True) if library in self._libraries else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandInModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        del module

    def withdraw(self, library: str = "") -> None:
        """Make way for the library itself, or for all of them; who has a stand-in keeps it."""
        gone = {library} if library else set(self._libraries)
        self._libraries -= gone
        for name, module in list(sys.modules.items()):
            if isinstance(module, _StandInModule) and name.partition(".")[0] in gone:
                del sys.modules[name]


class _StandInModule(ModuleType):
    """Stands in for a module."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        itself = sys.modules.get(self.__name__, self)
        return getattr(itself, name) if itself is not self else _StandIn(self.__name__, name, self.__loader__)


class _StandIn:
    """Stands in for what has some name in some module: a function, a class, or a module within a package."""

    __slots__ = ("_finder", "_module", "_name")

    def __init__(self, module: str, name: str, finder: object) -> None:
        self._module = module
        self._name = name
        self._finder = finder

    def __call__(self, *arguments: object, **named: object) -> object:
        return self._itself()(*arguments, **named)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._itself(), name)

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[object, ...]:
        del bases
        return (self._itself(),)

    def __instancecheck__(self, instance: object) -> bool:
        # Of a class that nobody has imported there is no instance.
        return self._module in sys.modules and self._is_loaded() and isinstance(instance, self._itself())

    def _is_loaded(self) -> bool:
        return not isinstance(sys.modules[self._module], _StandInModule)

    def _itself(self) -> Any:
        if isinstance(self._finder, _Finder):
            self._finder.withdraw(self._module.partition(".")[0])
        module = import_module(self._module)
        try:
            return getattr(module, self._name)
        except AttributeError:
            return import_module(f"{self._module}.{self._name}")
