"""The demo's live progress: a table that changes in place on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

_LINE_EVERY_S: Final = 10.0
_REFRESH: Final = 4


@dataclass(frozen=True, slots=True)
class Moment:
    """How far the demo is.

    Parameters
    ----------
    published, folded, total
        Messages.
    event_time
        The watermark, milliseconds; 0 before the first event.
    memory_mb
        Of the pipeline's process.
    quality
        The last window's figures by model: ``ROCAUC`` and ``LogLoss``.
    trouble
        What the pipeline is waiting for, if anything.
    """

    published: int
    folded: int
    total: int
    event_time: int = 0
    memory_mb: float = 0.0
    quality: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    trouble: str = ""

    @property
    def lag(self) -> int:
        """Messages that are published and not folded."""
        return max(0, self.published - self.folded)


class Display:
    """Shows moments, with the rate between them.

    Parameters
    ----------
    console
        Where to; standard error, so that standard output stays free for results.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=_REFRESH, transient=True) if console.is_terminal else None
        self._next_line = time.monotonic() + _LINE_EVERY_S
        self._rated = (time.monotonic(), 0)
        self._rate = 0.0

    def __enter__(self) -> Self:
        """Begin."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End; a terminal's table goes away."""
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._console.print(line, markup=False)

    def show(self, moment: Moment) -> None:
        """Show a moment."""
        now = time.monotonic()
        since, folded = self._rated
        if now - since >= 1.0:
            self._rate = (moment.folded - folded) / (now - since)
            self._rated = (now, moment.folded)
        if self._live is not None:
            self._live.update(self._table(moment))
        elif now >= self._next_line:
            self._next_line = now + _LINE_EVERY_S
            self.say(self._line(moment))

    def _line(self, moment: Moment) -> str:
        figures = "; ".join(
            f"{name} AUC {each.get('ROCAUC', 0.0):.3f}, log loss {each.get('LogLoss', 0.0):.3f}"
            for name, each in moment.quality.items()
        )
        return (
            f"{_date(moment.event_time)}  {moment.folded:,} of {moment.total:,}  {self._rate:,.0f}/s  "
            f"lag {moment.lag:,}  {moment.memory_mb:,.0f} MiB  {figures}  {moment.trouble}"
        ).rstrip()

    def _table(self, moment: Moment) -> RenderableType:
        head = Table.grid(padding=(0, 3))
        head.add_row(
            f"[bold]{_date(moment.event_time)}[/bold]",
            f"{moment.folded:,} of {moment.total:,} messages",
            f"{self._rate:,.0f} a second",
            f"lag {moment.lag:,}",
            f"{moment.memory_mb:,.0f} MiB",
        )
        models = Table.grid(padding=(0, 3))
        for name, each in moment.quality.items():
            models.add_row(
                name, f"AUC {each.get('ROCAUC', 0.0):.4f}", f"log loss {each.get('LogLoss', 0.0):.4f}", "last 5,000"
            )
        bar = ProgressBar(total=max(1, moment.total), completed=moment.folded, width=80)
        return Group(head, bar, models, moment.trouble)


def _date(event_time: int) -> str:
    return datetime.fromtimestamp(event_time / 1000, UTC).strftime("%d %b %Y") if event_time else "before the start"
