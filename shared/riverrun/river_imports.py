"""Imports River without what hardly any of its estimators use.

Of the time that ``river.linear_model`` takes to import, and of the memory, four fifths are SciPy's, pandas' and
scikit-learn's: three quarters of a second and 100 MiB for each process, of which a recovery waits for the first.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

from riverrun.deferred_imports import deferred

__all__ = ["import_river"]

_DEFERRED: Final = ("pandas", "scipy", "sklearn")
_MODULES: Final = (
    *("anomaly", "bandit", "base", "cluster", "compose", "drift", "dummy", "ensemble", "evaluate", "facto"),
    *("feature_extraction", "forest", "imblearn", "linear_model", "metrics", "multiclass", "multioutput"),
    *("naive_bayes", "neighbors", "optim", "preprocessing", "proba", "rules", "stats", "time_series", "tree"),
)


def import_river() -> None:
    """Import the parts of River that pipelines are made of; each of the large libraries follows when one is used.

    Only River's modules get the stand-ins: whoever imports such a library afterwards, a pipeline file say, gets
    itself.
    """
    with deferred(_DEFERRED):
        for name in _MODULES:
            import_module(f"river.{name}")
        import_module("riverrun.river_generators").share_generators()
