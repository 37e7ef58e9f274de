"""Worker threads: what they change of the process is as it was when the last ones are gone."""

import sys
from contextlib import ExitStack

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
