"""How kernels are compiled by numba, with types. Importing this module imports numba (about 0.5 s): only kernels do.

Compiled kernels are kept on the disk beside their source. numba notices a change of the file that a kernel is in, and
of no other file: so every kernel has its helpers in its own file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def kernel(function: _Function) -> _Function:
    """Compile a function for any array, releasing the GIL; the result is kept on the disk where that can be written."""
    compiled: Any
    try:
        compiled = njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder to keep it in: an installation that is read-only, and no home
        compiled = njit(nogil=True)(function)
    return compiled  # type: ignore[no-any-return]
