"""Processes that do work for this one, one a core, and end with it however it ends."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import ParamSpec, TypeVar

from tickstockpl.errors import TickstockError

P = ParamSpec("P")
T = TypeVar("T")


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def processes(jobs: int) -> Iterator[Executor]:
    """So many of them, at the end of the block ended; a single job needs none of its own.

    Raises TickstockError if one was killed.
    """
    if jobs == 1:
        with ThreadPoolExecutor(1) as one:
            yield one
        return
    # spawned: a fork would have a copy of the loop, of connections and of other threads' locks
    workers = _Processes(jobs, multiprocessing.get_context("spawn"), initializer=_stand_by)
    try:
        yield workers
    except BrokenProcessPool:
        raise TickstockError("a worker was killed, for want of memory perhaps: fewer --jobs need less of it") from None
    finally:
        workers.shutdown(cancel_futures=True)


class _Processes(ProcessPoolExecutor):
    """A pool whose processes do not hear Ctrl-C, which a terminal tells all of them: this one ends them."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        # it may start a process, which begins with the signals blocked that are blocked here
        with _deaf():
            return super().submit(fn, *args, **kwargs)


@contextmanager
def _deaf() -> Iterator[None]:
    """Ctrl-C waits until the end of the block."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stand_by() -> None:
    """End this process when the one that started it is gone, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def follow(sentinel: int) -> None:
            wait([sentinel])
            os._exit(1)

        threading.Thread(target=follow, args=(parent.sentinel,), daemon=True).start()
