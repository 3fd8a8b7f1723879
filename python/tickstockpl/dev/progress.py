"""How far a long command is: a bar for a terminal, a line every tenth for a file or a pipe."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


@contextmanager
def progress(title: str, total: float, console: Console) -> Iterator[Callable[[float, str], None]]:
    """Yield `report(done, note)`, to be called as often as one likes with `done` out of `total`."""
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, TextColumn("{task.fields[note]}"), console=console) as bar:
            task = bar.add_task(title, total=total, note="")

            def draw(done: float, note: str) -> None:
                bar.update(task, completed=done, note=note)

            yield draw
        return

    tenths = 0

    def line(done: float, note: str) -> None:
        nonlocal tenths
        reached = int(10 * done / total) if total > 0 else 10
        if reached > tenths:
            tenths = reached
            console.print(f"{title}: {10 * tenths} %, {note}", highlight=False, soft_wrap=True)

    yield line
