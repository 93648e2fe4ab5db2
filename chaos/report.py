"""The report: ``chaos.json``, written anew after every act, so that a run that is stopped has left what it found.

Beside it lies ``chaos.run.json``, from which a run that was stopped is resumed: what the report is made of.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from chaos.act import Outcome
from chaos.findings import Finding, Sort, Strike, blame
from chaos.overload import OVERLOAD, Overload
from chaos.recovery import summary

__all__ = ["MOST_RECOVERY_S", "Report"]

MOST_RECOVERY_S: Final = 5.0
"""What 95 of 100 faults may take to recover from."""
_OFTEN: Final = 20
"""How often a kind must have struck to be held to that by itself."""

_UNDISTURBED: Final = "none"
"""What is wrong though nothing had struck yet is put down to no fault."""

_MOST_TEXTS: Final = 200


class Report:
    """Gathers outcomes.

    Parameters
    ----------
    path
        Of the file.
    seed, size
        Of the run.
    schedule
        A digest of what is to strike when: a run is resumed by one with the same.
    """

    def __init__(self, path: Path, seed: int, size: str, schedule: str = "") -> None:
        self._path = path
        self._head: dict[str, object] = {"seed": seed, "size": size, "cores": os.cpu_count()}
        self._schedule = schedule
        self._began = time.monotonic()
        self._strikes: list[Strike] = []
        self._made: Counter[str] = Counter()
        self._wrong: dict[str, Counter[str]] = {}
        self._texts: list[str] = []
        self._total: Counter[str] = Counter()
        self._acts: list[dict[str, Any]] = []
        self._overload: Overload | None = None
        self.planted: dict[str, bool] = {}

    def resume(self) -> int:
        """Take over what an earlier run of the same seed and size has found; return how many acts it played.

        Raises
        ------
        FileNotFoundError
            If there was none.
        ValueError
            If it was of another seed, size or schedule.
        """
        found = json.loads(self._run_path.read_text(encoding="utf-8"))
        if (found["head"], found["schedule"]) != (self._head, self._schedule):
            raise ValueError(
                f"the run that was stopped was of {found['head']}, this one is of {self._head}, or another plan"
            )
        self._began -= found["seconds"]
        self._strikes = [Strike(**each) for each in found["strikes"]]
        self._made = Counter(found["made"])
        self._wrong = {kind: Counter(counts) for kind, counts in found["wrong"].items()}
        self._texts = found["texts"]
        self._total = Counter(found["total"])
        self._acts = found["acts"]
        return len(self._acts)

    def forget(self) -> None:
        """Remove what a run would be resumed from: this one begins anew, or has come to its end."""
        self._run_path.unlink(missing_ok=True)

    @property
    def _run_path(self) -> Path:
        return self._path.with_suffix(".run.json")

    @property
    def wrong(self) -> int:
        """How many things were found to be wrong."""
        return sum(self._total.values())

    @property
    def slow(self) -> dict[str, float]:
        """The 95th percentile of the time to recover, in seconds, where it is too long: of all, and by kind."""
        often = [kind for kind in self.struck() if len(self._recoveries(kind)) >= _OFTEN]
        found = {kind: summary(self._recoveries(kind)) for kind in ("", *sorted(often))}
        return {kind or "all": each["p95"] for kind, each in found.items() if each and each["p95"] > MOST_RECOVERY_S}

    def _recoveries(self, kind: str = "") -> list[float]:
        strikes = [strike for strike in self._strikes if kind in ("", strike.kind)]
        return [each.recovery_s for each in strikes if each.recovery_s is not None]

    @property
    def unfenced(self) -> bool:
        """Whether members came back from the dead many times, and none of them was ever shut out: none was tried."""
        zombies = sum(strike.kind == "zombie" for strike in self._strikes)
        return zombies >= _OFTEN and not any(act["fenced"] for act in self._acts if act["layout"] == "members")

    def struck(self) -> set[str]:
        """Return the kinds of fault that struck."""
        return {strike.kind for strike in self._strikes}

    def add(self, outcome: Outcome, overload: Overload | None = None) -> None:
        """Add an act's outcome, and write the file."""
        self._strikes += outcome.strikes
        self._made.update(outcome.made)
        self._overload = overload or self._overload
        for finding in outcome.findings:
            self._add_finding(outcome, finding)
        self._acts.append(
            {
                "layout": outcome.layout,
                "seed": outcome.seed,
                "faults": len(outcome.strikes),
                "published": outcome.published,
                "predictions_watched": outcome.predictions,
                "looks_at_redis": outcome.looks,
                "wrong": len(outcome.findings),
                "fenced": outcome.fenced,
                "restarted": outcome.restarted,
                "most_memory_mb": outcome.memory_mb,
            }
        )
        self.write()

    def _add_finding(self, outcome: Outcome, finding: Finding) -> None:
        kinds = blame(finding, outcome.strikes, outcome.oddities)
        if outcome.layout == OVERLOAD:
            kinds.add(OVERLOAD)
        for kind in kinds or {_UNDISTURBED}:
            self._wrong.setdefault(kind, Counter())[finding.sort] += 1
        self._total[finding.sort] += 1
        if len(self._texts) < _MOST_TEXTS:
            self._texts.append(f"{outcome.layout}, seed {outcome.seed}: {finding.sort}: {finding.text:.1000}")

    def write(self) -> None:
        """Write the file."""
        document = {
            **self._head,
            "seconds": round(time.monotonic() - self._began),
            "total": {"injected": len(self._strikes), **self._sorts(self._total)},
            "recovery_s": summary(self._recoveries()),
            "too_slow": self.slow,
            "faults": self._faults(),
            "planted_bugs": self.planted,
            "overload": None if self._overload is None else self._overload.as_json(),
            "most_memory_mb": max((most for act in self._acts for most in act["most_memory_mb"].values()), default=0.0),
            "acts": self._acts,
            "wrong": self._texts,
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _replace(self._path, document)

    def keep(self) -> None:
        """Write what the next run is resumed from; after every act, though not after overload, which comes last."""
        run = {
            "head": self._head,
            "schedule": self._schedule,
            "seconds": time.monotonic() - self._began,
            "strikes": [asdict(strike) for strike in self._strikes],
            "made": self._made,
            "wrong": self._wrong,
            "texts": self._texts,
            "total": self._total,
            "acts": self._acts,
        }
        _replace(self._run_path, run)

    def _faults(self) -> dict[str, Any]:
        faults: dict[str, Any] = {}
        for kind in sorted({strike.kind for strike in self._strikes}):
            strikes = [strike for strike in self._strikes if strike.kind == kind]
            faults[kind] = {
                "injected": len(strikes),
                **self._sorts(self._wrong.get(kind, {})),
                "recovery_s": summary(self._recoveries(kind)),
                "outage_s": summary([each.outage_s for each in strikes if each.outage_s is not None]),
            }
        made: dict[str, int] = dict(self._made)
        if self._overload is not None:
            made[OVERLOAD] = 1
        for kind in sorted({*made, *self._wrong} - faults.keys()):
            faults[kind] = {
                "injected": made.get(kind, 0),
                **self._sorts(self._wrong.get(kind, {})),
                "recovery_s": None,
            }
        return faults

    @staticmethod
    def _sorts(counts: Mapping[str, int]) -> dict[str, int]:
        return {sort.value: counts.get(sort, 0) for sort in Sort}


def _replace(path: Path, document: object) -> None:
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    scratch.replace(path)
