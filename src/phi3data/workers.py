"""Worker processes and threads: tasks in any order, results as they come, no process left behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from phi3data.errors import MissingExtraError, WorkerError

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

Submit = Callable[..., "Future[Any]"]
Key = TypeVar("Key")
Task = TypeVar("Task")
Result = TypeVar("Result")

_AHEAD = 3  # items that a thread has ready
_TURN = 0.0001  # seconds that a thread may run while another one waits
_before: list[float] = []  # the turns that there were, once for each that wants short ones
_lock = threading.Lock()
_KILLED = (
    "a worker process was killed, perhaps for want of memory: finished work is kept; run the same command again, "
    "with fewer workers (-j 1) if it happens again"
)


def cpus() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def pool(workers: int) -> Iterator[Submit]:
    """Give a function that submits tasks to `workers` processes; with one worker tasks run here and now.

    Processes are spawned, not forked: the libraries used here hold threads, which do not survive a fork. What they take
    is loaded with the first task.
    """
    if workers <= 1:
        yield _now
        return
    started: list[ProcessPoolExecutor] = []

    def submit(function: Callable[..., Any], *args: Any) -> Future[Any]:
        if not started:
            from concurrent.futures import ProcessPoolExecutor
            from multiprocessing import get_context

            started.append(ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_initialise))
        return started[0].submit(function, *args)

    try:
        yield submit
    except BaseException:
        for executor in started:
            executor.shutdown(wait=False, cancel_futures=True)
        raise
    for executor in started:
        executor.shutdown()


@contextmanager
def threads(workers: int) -> Iterator[Submit]:
    """Give a function that submits tasks to `workers` threads, for tasks that release the GIL; with one, here and now.

    They start with nothing to load, and have what is loaded in common.
    """
    if workers <= 1:
        yield _now
        return
    with _short_turns(), ThreadPoolExecutor(workers) as executor:
        try:
            yield executor.submit
        finally:
            executor.shutdown(cancel_futures=True)


@contextmanager
def _short_turns() -> Iterator[None]:
    """Let threads take turns more often: one that comes back from a kernel would wait 5 ms for the GIL each time."""
    with _lock:
        _before.append(sys.getswitchinterval() if not _before else _before[0])
        sys.setswitchinterval(min(_before[0], _TURN))
    try:
        yield
    finally:
        with _lock:
            before = _before.pop()
            if not _before:  # the last one that is inside leaves
                sys.setswitchinterval(before)


def each(
    submit: Submit, function: Callable[..., Any], tasks: list[tuple[Key, tuple[Any, ...]]]
) -> Iterator[tuple[Key, Any]]:
    """Run `function` over the arguments of each task; yield (key, result) as they come.

    A few tasks wait in the queue, not all of them. Raises `WorkerError` when a process was killed.
    """
    waiting = iter(tasks)
    queue = 1 if submit is _now else 2 * (os.cpu_count() or 1)
    running: dict[Future[Any], Key] = {}
    try:
        while True:
            while len(running) < queue and (task := next(waiting, None)) is not None:
                running[submit(function, *task[1])] = task[0]
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
    except BrokenExecutor:
        raise WorkerError(_KILLED) from None


def in_order(
    submit: Submit, function: Callable[[Task], Result], tasks: Iterable[Task], most: int | None = None
) -> Iterator[Result]:
    """Run `function` over the tasks and yield the results in the order of the tasks.

    A few tasks (`most`, two a processor otherwise) are ahead of the one that is waited for, not all of them. Raises
    `WorkerError` when a process died.
    """
    ahead: deque[Future[Result]] = deque()
    most = 1 if submit is _now else most or 2 * (os.cpu_count() or 1)
    try:
        for task in tasks:
            ahead.append(submit(function, task))
            if len(ahead) >= most:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    except BrokenExecutor:
        raise WorkerError(_KILLED) from None


def ahead(items: Iterator[Task]) -> Generator[Task, None, None]:
    """Yield what an iterator does, which runs in a thread of its own, a few items ahead of the one that is taken.

    Two queues take a seventh less time than futures, whose locks give the GIL away several times an item.
    """
    made: SimpleQueue[tuple[Task | None, BaseException | None]] = SimpleQueue()
    wanted: SimpleQueue[bool] = SimpleQueue()

    def make() -> None:
        item: Task | None = None
        while wanted.get():
            try:
                item = next(items, None)
            except BaseException as error:  # noqa: BLE001 (raised again by who takes the item)
                made.put((None, error))
                return
            made.put((item, None))

    with _short_turns():
        thread = threading.Thread(target=make, daemon=True)  # the end of the process does not wait for it
        thread.start()
        try:
            for _ in range(_AHEAD):
                wanted.put(True)
            while True:
                item, error = made.get()
                if error is not None:
                    raise error
                if item is None:
                    return
                wanted.put(True)
                yield item
        finally:
            with suppress(Empty):
                while wanted.get_nowait():
                    pass
            wanted.put(False)
            thread.join()


def load(module: str) -> None:
    """Load a module in a thread of its own, for whoever imports it when it is needed: that waits for the rest of it.

    Raises `MissingExtraError` where it is not installed.
    """
    if find_spec(module) is None:
        raise MissingExtraError(module, "data")
    threading.Thread(target=_try_to_load, args=(module,)).start()


def _try_to_load(module: str) -> None:
    with suppress(Exception):  # which who imports it gets again
        import_module(module)


def _now(function: Callable[..., Any], *args: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(function(*args))
    return future


def _initialise() -> None:
    """Leave interrupts to the parent, and end when it is gone, even if it was killed: an orphan would wait for ever."""
    from multiprocessing import parent_process

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
