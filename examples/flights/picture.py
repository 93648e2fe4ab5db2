"""Draws how good the predictions were, week by week."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from examples.flights.outcomes import Outcomes
from examples.flights.quality import NO_CHANGE, STATIC, Quality, weeks

_COLOURS: Final = ("#0b6e4f", "#3f88c5", "#e09f3e", "#8a6fb0")
_BASELINES: Final = {STATIC: ("#7a7a7a", "--"), NO_CHANGE: ("#b0b0b0", ":")}
_NEW_YEAR: Final = datetime(2013, 1, 1, tzinfo=UTC)
_DAY_S: Final = 86_400.0


def draw(outcomes: Outcomes, quality: Quality, path: Path) -> None:
    """Write the picture; its format is that of the path's suffix (``.png`` or ``.svg``).

    Parameters
    ----------
    outcomes, quality
        What happened and what it is worth.
    path
        The file to write.
    """
    with mpl.rc_context({"font.size": 10.5, "axes.titlelocation": "left"}):
        figure = Figure(figsize=(10.5, 7.2), dpi=110, layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        title = "Will it be more than 15 minutes late? Predicted an hour before departure, learned from arrivals"
        figure.suptitle(title, x=0.01, ha="left", weight="bold")
        above.set_title("Area under the ROC curve by week (higher is better)")
        below.set_title("Log loss by week (lower is better)")
        for index, name in enumerate(quality.scores):
            _draw_scorer(above, below, outcomes, quality, (index, name))
        for axes in (above, below):
            _dress(axes, quality, int(outcomes.times.max(initial=quality.since)))
        handles, labels = above.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=2, frameon=False, fontsize=9)
        figure.savefig(path)


def _draw_scorer(above: Axes, below: Axes, outcomes: Outcomes, quality: Quality, scorer: tuple[int, str]) -> None:
    index, name = scorer
    colour, style = _BASELINES.get(name, (_COLOURS[index % len(_COLOURS)], "-"))
    width = 2.6 if index == 0 else 1.4
    rows = list(weeks(outcomes, quality, name))
    days = [_day(row.middle) for row in rows]
    total = quality.models.get(name) or quality.baselines[name]
    role = "champion" if index == 0 else "baseline" if name in quality.baselines else "challenger"
    label = f"{name} ({role}): AUC {total.auc:.3f}, log loss {total.log_loss:.3f}"
    above.plot(days, [row.score.auc for row in rows], color=colour, ls=style, lw=width, label=label)
    below.plot(days, [row.score.log_loss for row in rows], color=colour, ls=style, lw=width)


def _dress(axes: Axes, quality: Quality, last: int) -> None:
    since = _day(datetime.fromtimestamp(quality.since / 1000, UTC))
    axes.axvline(since, color="#cccccc", lw=1)
    axes.text(since, 1.0, " evaluated from here", transform=axes.get_xaxis_transform(), va="top", color="#888888")
    months = [datetime(2013, month, 1, tzinfo=UTC) for month in range(1, 13)]
    shown = [month for month in months if month.timestamp() * 1000 <= last]
    axes.set_xticks([_day(month) for month in shown], [f"{month:%b}" for month in shown])
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _day(moment: datetime) -> float:
    return (moment - _NEW_YEAR).total_seconds() / _DAY_S
