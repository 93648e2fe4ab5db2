"""What makes a schema dangerous to decode with, whoever wrote the bytes.

The dangers are real (fastavro 1.13): a message of 5 kB of a recursive schema ends the process, five bytes of
``array<null>`` take 800 MB, a decimal of half a megabyte takes 26 seconds. A schema that lints clean has none of them,
so a small message costs little whatever it claims. Pipelines' own schemas are checked when they are defined; this is
for those that a registry hands out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["MAX_DEPTH", "lint"]

MAX_DEPTH: Final = 32
"""Deepest nesting of types that is accepted."""

_PRIMITIVE_BYTES: Final = {
    "null": 0,
    "boolean": 1,
    "int": 1,
    "long": 1,
    "float": 4,
    "double": 8,
    "bytes": 1,
    "string": 1,
}
"""Fewest bytes that a value takes."""


def lint(schema: object) -> tuple[str, ...]:
    """Return what is dangerous in an Avro schema (as JSON has it), as sentences; nothing if it is safe.

    Parameters
    ----------
    schema
        The schema. It may be malformed: what cannot be understood is named too.

    Examples
    --------
    >>> lint({"type": "record", "name": "Safe", "fields": [{"name": "a", "type": ["null", "double"]}]})
    ()
    >>> lint({"type": "record", "name": "Bomb", "fields": [{"name": "a", "type": {"type": "array", "items": "null"}}]})
    ('Bomb.a is an array of items that take no bytes: a message of 5 bytes could hold millions',)
    """
    linter = _Linter()
    linter.visit(schema, "", "", 1)
    return tuple(linter.faults)


class _Linter:
    """One walk over a schema. ``_sizes`` holds the fewest bytes of each named type, None while it is being visited."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._sizes: dict[str, int | None] = {}

    def visit(self, node: object, path: str, namespace: str, depth: int) -> int:
        """Look at a type; return the fewest bytes that a value of it takes."""
        if depth > MAX_DEPTH:
            self._fault(f"{path or 'the schema'} nests deeper than {MAX_DEPTH} types")
            return 1
        if isinstance(node, str):
            return self._named(node, path, namespace)
        if isinstance(node, list):
            sizes = [self.visit(branch, path, namespace, depth + 1) for branch in node]
            return 1 + min(sizes, default=0)
        if isinstance(node, Mapping):
            return self._visit_object(node, path, namespace, depth)
        self._fault(f"{path or 'the schema'} is not an Avro type: {node!r:.80}")
        return 1

    def _fault(self, message: str) -> None:
        if message not in self.faults:
            self.faults.append(message)

    def _named(self, name: str, path: str, namespace: str) -> int:
        if name in _PRIMITIVE_BYTES:
            return _PRIMITIVE_BYTES[name]
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        full = full if full in self._sizes else name
        if full not in self._sizes:
            self._fault(f"{path or 'the schema'} is of the type {name!r}, which is not defined before it")
            return 1
        size = self._sizes[full]
        if size is None:
            self._fault(f"{path} contains its own type {name!r}: a short message could nest without end")
            return 1
        return size

    def _visit_object(self, node: Mapping[str, object], path: str, namespace: str, depth: int) -> int:
        kind = node.get("type")
        if node.get("logicalType") == "decimal":
            self._fault(f"{path or 'the schema'} is a decimal: a long one takes seconds to decode")
        if kind in ("record", "error"):
            return self._visit_record(node, path, namespace, depth)
        if kind == "array":
            size = self.visit(node.get("items"), path, namespace, depth + 1)
            if size == 0:
                self._fault(
                    f"{path or 'the schema'} is an array of items that take no bytes: a message of 5 bytes could hold "
                    "millions"
                )
            return 1
        if kind == "map":
            self.visit(node.get("values"), path, namespace, depth + 1)
            return 1
        if kind == "enum":
            self._define(node, namespace, 1)
            return 1
        if kind == "fixed":
            given = node.get("size")
            number = given if isinstance(given, int) and given >= 0 else 1
            self._define(node, namespace, number)
            return number
        return self.visit(kind, path, namespace, depth + 1)

    def _visit_record(self, node: Mapping[str, object], path: str, namespace: str, depth: int) -> int:
        name, inner = self._define(node, namespace, None)
        fields = node.get("fields")
        total = 0
        if not isinstance(fields, list):
            self._fault(f"record {name} has no list of fields")
            fields = []
        for field in fields:
            if not isinstance(field, Mapping):
                self._fault(f"record {name} has a field that is no object: {field!r:.80}")
                continue
            total += self.visit(field.get("type"), f"{path or name}.{field.get('name')}", inner, depth + 1)
        self._sizes[name] = total
        return total

    def _define(self, node: Mapping[str, object], namespace: str, size: int | None) -> tuple[str, str]:
        """Note a named type; return its full name and the namespace inside it."""
        given, own = node.get("name"), node.get("namespace")
        name = given if isinstance(given, str) else "?"
        if "." in name:
            inner = name.rpartition(".")[0]
        else:
            inner = own if isinstance(own, str) else namespace
            name = f"{inner}.{name}" if inner else name
        self._sizes[name] = size
        return name, inner
