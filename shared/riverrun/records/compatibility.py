"""Whether records written with one schema can be read with another: Avro's rules of schema resolution, statically.

After the Avro specification, "Schema Resolution", but stricter where the result would depend on the data: a union that
can be read only in some of its branches, or an enum only in some of its symbols, counts as unreadable, because a log
that is replayed for years will hold the one that fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

from riverrun.records.avro import AvroRecord

__all__ = ["read_faults"]

Names = dict[str, Mapping[str, object]]

_PROMOTIONS: Final[Mapping[str, frozenset[str]]] = {
    "int": frozenset({"int", "long", "float", "double"}),
    "long": frozenset({"long", "float", "double"}),
    "float": frozenset({"float", "double"}),
    "string": frozenset({"string", "bytes"}),
    "bytes": frozenset({"bytes", "string"}),
}
"""What a primitive type may be read as, if not only as itself."""

_PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


def read_faults(written: AvroRecord, wanted: AvroRecord) -> tuple[str, ...]:
    """Return why some record of one schema could not be read with another, as sentences; nothing if all can.

    Parameters
    ----------
    written
        The schema that wrote the records.
    wanted
        The schema to read them with. Neither may be recursive.

    Examples
    --------
    >>> old = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}
    >>> new = {"type": "record", "name": "R", "fields": [{"name": "b", "type": "int"}]}
    >>> read_faults(old, new)
    ('R.b is new and has no default',)
    """
    checker = _Checker()
    checker.check(written, wanted, "", ("", ""))
    return tuple(checker.faults)


class _Checker:
    """One comparison of two schemas; named types are noted as they are met, for each side."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._written: Names = {}
        self._wanted: Names = {}

    def check(self, written: object, wanted: object, path: str, spaces: tuple[str, str]) -> None:
        """Compare two types at a path; ``spaces`` are the namespaces on either side."""
        written, wanted = (
            _look_up(written, self._written, spaces[0]),
            _look_up(wanted, self._wanted, spaces[1]),
        )
        if isinstance(written, list):
            for branch in written:
                self.check(branch, wanted, path, spaces)
        elif isinstance(wanted, list):
            self._check_branches(written, wanted, path, spaces)
        else:
            self._check_types(written, wanted, path, spaces)

    def _check_branches(self, written: object, wanted: Sequence[object], path: str, spaces: tuple[str, str]) -> None:
        """Find a branch of the reader's union that reads what was written."""
        for branch in wanted:
            attempt = _Checker()
            attempt._written, attempt._wanted = dict(self._written), dict(self._wanted)
            attempt.check(written, branch, path, spaces)
            if not attempt.faults:
                self._written, self._wanted = attempt._written, attempt._wanted
                return
        self.faults.append(f"{path} was {_name(written)}, which is in no branch of the union that it is read as")

    def _check_types(self, written: object, wanted: object, path: str, spaces: tuple[str, str]) -> None:
        one, other = _kind(written), _kind(wanted)
        if one in _PRIMITIVES and other in _PRIMITIVES:
            if other not in _PROMOTIONS.get(one, {one}):
                self.faults.append(f"{path} was {one} and cannot be read as {other}")
            return
        if one != other:
            self.faults.append(f"{path} was {one} and cannot be read as {other}")
            return
        left, right = cast("Mapping[str, object]", written), cast("Mapping[str, object]", wanted)
        if one == "array":
            self.check(left["items"], right["items"], f"{path}[]", spaces)
        elif one == "map":
            self.check(left["values"], right["values"], f"{path}[]", spaces)
        else:
            self._check_named(left, right, path, spaces)

    def _check_named(
        self, written: Mapping[str, object], wanted: Mapping[str, object], path: str, spaces: tuple[str, str]
    ) -> None:
        inner = (_define(written, self._written, spaces[0]), _define(wanted, self._wanted, spaces[1]))
        path = path or str(wanted["name"])
        if _local(written["name"]) != _local(wanted["name"]):
            self.faults.append(f"{path} was called {written['name']} and is now {wanted['name']}")
            return
        kind = written["type"]
        if kind == "enum":
            known = cast("Sequence[object]", wanted["symbols"])
            lost = [symbol for symbol in cast("Sequence[object]", written["symbols"]) if symbol not in known]
            if lost and "default" not in wanted:
                self.faults.append(f"{path} may hold {', '.join(map(str, lost))}, which the reader does not know")
        elif kind == "fixed":
            if written.get("size") != wanted.get("size"):
                self.faults.append(f"{path} had {written.get('size')} bytes and is read as {wanted.get('size')}")
        else:
            self._check_record(written, wanted, path, inner)

    def _check_record(
        self, written: Mapping[str, object], wanted: Mapping[str, object], path: str, spaces: tuple[str, str]
    ) -> None:
        fields = {row["name"]: row for row in cast("Sequence[Mapping[str, object]]", written["fields"])}
        known = {row["name"] for row in cast("Sequence[Mapping[str, object]]", wanted["fields"])}
        for row in fields.values():
            if row["name"] not in known:
                _define_within(row["type"], self._written, spaces[0])
        for row in cast("Sequence[Mapping[str, object]]", wanted["fields"]):
            before = fields.get(row["name"])
            if before is not None:
                self.check(before["type"], row["type"], f"{path}.{row['name']}", spaces)
            elif "default" not in row:
                self.faults.append(f"{path}.{row['name']} is new and has no default")
            else:
                _define_within(row["type"], self._wanted, spaces[1])


def _kind(node: object) -> str:
    if isinstance(node, Mapping):
        kind = node["type"]
        return "record" if kind == "error" else str(kind)
    return str(node)


def _name(node: object) -> str:
    return str(node.get("name", node["type"])) if isinstance(node, Mapping) else str(node)


def _local(name: object) -> str:
    return str(name).rpartition(".")[2]


def _look_up(node: object, names: Names, namespace: str) -> object:
    """Return what a type means: the definition of a named one, the inner type of ``{"type": "long"}``."""
    while isinstance(node, Mapping) and (not isinstance(node["type"], str) or node["type"] in _PRIMITIVES):
        node = node["type"]
    if isinstance(node, Mapping) and node["type"] not in ("record", "error", "enum", "fixed", "array", "map"):
        node = node["type"]
    if isinstance(node, str) and node not in _PRIMITIVES:
        full = node if "." in node or not namespace else f"{namespace}.{node}"
        return names.get(full, names.get(node, {"type": node, "name": node}))
    return node


def _define(node: Mapping[str, object], names: Names, namespace: str) -> str:
    """Note a named type; return the namespace inside it."""
    name, own = str(node["name"]), node.get("namespace")
    if "." in name:
        inner = name.rpartition(".")[0]
    else:
        inner = own if isinstance(own, str) else namespace
        name = f"{inner}.{name}" if inner else name
    names[name] = node
    return inner


def _define_within(node: object, names: Names, namespace: str) -> None:
    """Note the named types inside a type that has no counterpart."""
    if isinstance(node, list):
        for branch in node:
            _define_within(branch, names, namespace)
    elif isinstance(node, Mapping):
        inner = _define(node, names, namespace) if "name" in node else namespace
        for row in cast("Sequence[Mapping[str, object]]", node.get("fields", ())):
            _define_within(row["type"], names, inner)
        for part in ("items", "values", "type"):
            if not isinstance(node.get(part), str | None):
                _define_within(node[part], names, inner)
