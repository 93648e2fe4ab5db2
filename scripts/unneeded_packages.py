"""Names the installed packages that riverrun with the extras given does not need: what an image can do without.

``python scripts/unneeded_packages.py alerts gateway`` prints one name a line, for ``pip uninstall -r``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distributions, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

KEPT = ("pip",)
"""What runs the uninstalling; it has to go last, and by itself."""


def needed(root: str, extras: Iterable[str]) -> set[str]:
    """Return the names of a distribution and all that it depends on here, with these extras."""
    found: set[str] = set()
    open_ends = [(canonicalize_name(root), frozenset(extras))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while open_ends:
        end = open_ends.pop()
        if end in seen:
            continue
        seen.add(end)
        name, wanted = end
        found.add(name)
        open_ends.extend(_dependencies(name, wanted))
    return found


def _dependencies(name: str, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    try:
        lines = requires(name) or []
    except PackageNotFoundError:
        # An optional one of another platform.
        return
    for line in lines:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def main(extras: list[str]) -> None:
    """Print the names."""
    keep = needed("riverrun", extras) | set(KEPT)
    installed = {canonicalize_name(each.metadata["Name"]) for each in distributions()}
    for name in sorted(installed - keep):
        print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
