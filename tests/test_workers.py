"""Worker threads: what they change of the process is as it was when the last ones are gone."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from threading import active_count
from time import sleep

import pytest

from phi3data.workers import ahead, threads


def test_turns_are_short_while_threads_run_and_as_before_when_the_last_are_gone() -> None:
    before = sys.getswitchinterval()
    first, second = ExitStack(), ExitStack()
    first.enter_context(threads(2))
    second.enter_context(threads(2))
    items = ahead(iter([1, 2]))
    assert next(items) == 1
    first.close()
    assert sys.getswitchinterval() < before
    second.close()
    assert sys.getswitchinterval() < before
    assert list(items) == [2]
    assert sys.getswitchinterval() == before


def test_what_runs_ahead_comes_in_order_and_with_its_error() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1, 10):
            taken.append(number)
            yield number
        raise ValueError("the tenth")

    came = ahead(items())
    assert next(came) == 1
    sleep(0.05)
    assert len(taken) <= 5, "a few ahead, not all"
    assert [next(came) for _ in range(8)] == list(range(2, 10))
    with pytest.raises(ValueError, match="the tenth"):
        next(came)


def test_who_fails_in_between_ends_all_the_same() -> None:
    code = (
        "from itertools import count; from phi3data.workers import ahead\n"
        "for number in (held := ahead(count(1))): raise ValueError('in between')"
    )
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert "in between" in result.stderr


def test_who_stops_early_leaves_no_thread_behind() -> None:
    running = active_count()
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1, 100):
            sleep(0.02)
            made.append(number)
            yield number

    came = ahead(items())
    assert next(came) == 1
    came.close()
    assert active_count() == running
    assert len(made) <= 3, "what was asked for ahead is not waited for"
