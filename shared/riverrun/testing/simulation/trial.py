"""Tries scripts: plays one, has it judged, and makes a failing one as short as it can."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from riverrun.errors import RiverrunError
from riverrun.testing.simulation.judge import judge
from riverrun.testing.simulation.play import Play
from riverrun.testing.simulation.script import Action, Script, make_script

__all__ = ["Failure", "first_failure", "shrink", "try_script", "try_seeds"]

_RAISED: Final = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError),
    *(RiverrunError, RuntimeError, TypeError, ValueError, struct.error),
)
"""What a member must not raise, whatever happens to it."""


_BROKE_DOWN: Final = "raised "


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed whose simulation went wrong, and how."""

    seed: int
    wrongs: tuple[str, ...]

    @property
    def broke_down(self) -> bool:
        """Whether a member raised what it must not: the judge was not asked."""
        return self.wrongs[0].startswith(_BROKE_DOWN)

    def __str__(self) -> str:
        """Say what is wrong and how to see it again."""
        shown = "\n".join(f"  {wrong:.600}" for wrong in self.wrongs[:8])
        return (
            f"seed {self.seed}: {len(self.wrongs)} wrong\n{shown}\n"
            f"again, and shrunk: python -m riverrun.testing.simulation --seed {self.seed}"
        )


def try_script(script: Script, folder: Path) -> list[str]:
    """Play a script and return what is wrong; ``folder`` as for :class:`Play`."""
    play = Play(script, folder)
    try:
        play.run()
        return judge(play)
    except _RAISED as error:
        return [f"{_BROKE_DOWN}{error!r}"]
    finally:
        play.close()


def try_seeds(seeds: Iterable[int], folder: Path) -> list[Failure]:
    """Play the scripts of some seeds; return the failures."""
    failures = []
    for seed in seeds:
        wrongs = try_script(make_script(seed), folder)
        if wrongs:
            failures.append(Failure(seed, tuple(wrongs)))
    return failures


def first_failure(seeds: Iterable[int], folder: Path) -> Failure | None:
    """Play the scripts of some seeds up to the first failure."""
    for seed in seeds:
        wrongs = try_script(make_script(seed), folder)
        if wrongs:
            return Failure(seed, tuple(wrongs))
    return None


def shrink(script: Script, folder: Path, *, tries: int = 400) -> Script:
    """Leave out actions and messages, many at a time and then one by one, as long as it still fails.

    Parameters
    ----------
    script
        One that fails.
    folder
        As for :class:`Play`.
    tries
        How many shorter scripts are played at most.
    """
    size = max(1, len(script.actions) // 2)
    while tries > 0:
        shorter, tries = _without(script, size, folder, tries)
        if shorter is script:
            if size == 1:
                break
            size = max(1, size // 2)
        script = shorter
    return script


def _without(script: Script, size: int, folder: Path, tries: int) -> tuple[Script, int]:
    """Return the script less whatever stretches of ``size`` parts it can do without, and the tries left."""
    at = 0
    parts = _parts(script.actions)
    while at < len(parts) and tries > 0:
        fewer = parts[:at] + parts[at + size :]
        candidate = replace(script, actions=tuple(fewer))
        tries -= 1
        if try_script(candidate, folder):
            script, parts = candidate, fewer
        else:
            at += size
    return script, tries


def _parts(actions: Iterable[Action]) -> list[Action]:
    """Take publications of many messages apart."""
    parts: list[Action] = []
    for action in actions:
        if action.kind == "publish":
            parts += [action._replace(messages=(message,)) for message in action.messages]
        else:
            parts.append(action)
    return parts
