"""How far an import is, shown on a terminal and nowhere else."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """Takes how much there is and how far we are, in bytes or rows; shows nothing by itself."""

    def total(self, amount: int) -> None:
        """Say how much there is."""

    def at(self, amount: int) -> None:
        """Say how far we are."""

    def doing(self, what: str) -> None:
        """Say what is being done now."""


class _Shown(Progress):
    def __init__(self, bar: Bar, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def total(self, amount: int) -> None:
        self._bar.update(self._task, total=amount)

    def at(self, amount: int) -> None:
        self._bar.update(self._task, completed=amount)

    def doing(self, what: str) -> None:
        self._bar.update(self._task, description=what)


@contextmanager
def shown(title: str) -> Iterator[Progress]:
    """Give a progress bar on standard error when that is a terminal, else a silent one."""
    if not sys.stderr.isatty():
        yield Progress()
        return
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %")
    with Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        yield _Shown(bar, bar.add_task(title, total=None))
