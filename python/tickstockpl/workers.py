"""Processes that do work for this one, one a core, and end with it however it ends."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait

from tickstockpl.errors import TickstockError


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
    workers = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_stand_by)
    try:
        with _deaf():
            workers.submit(os.getpid)  # the first call starts all of them
        yield workers
    except BrokenProcessPool:
        raise TickstockError("a worker was killed, for want of memory perhaps: fewer --jobs need less of it") from None
    finally:
        workers.shutdown(cancel_futures=True)


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are started here do not hear Ctrl-C, which a terminal tells all: this one ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _stand_by() -> None:
    """End this process when the one that started it is gone, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def follow(sentinel: int) -> None:
            wait([sentinel])
            os._exit(1)

        threading.Thread(target=follow, args=(parent.sentinel,), daemon=True).start()
