"""The three models of the flights example, from its own pipeline file."""

from __future__ import annotations

from typing import Any

from examples.flights.pipeline import binned_crosses, hoeffding_tree, scaled_logistic


def build_models() -> dict[str, Any]:
    """Return them, untrained, the champion first."""
    return {
        "binned-crosses": binned_crosses(),
        "scaled-logistic": scaled_logistic(),
        "hoeffding-tree": hoeffding_tree(),
    }
