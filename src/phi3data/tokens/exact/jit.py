"""What the kernels here need of numba, with types: inlining, and loads from memory that numba lacks.

Importing this module imports numba (about 0.5 s); only kernels import it.

numba notices a change of the file that a kernel is in, and of no other file: so every kernel has its helpers in its own
file, and those of this module are all that several share (`phi3data.jit` compiles them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from llvmlite import ir
from numba import njit as _njit
from numba import types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: A number in a kernel; numba infers its kind. numpy's types for single numbers do not go with Python's in mypy.
Number: TypeAlias = Any

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def inlined(function: _Function) -> _Function:
    """Compile a function into each of its callers.

    It should take addresses, not arrays: numba counts references to an array that is handed on, which takes longer than
    most of the functions here (three times the time of counting).
    """
    compiled: Any = _njit(nogil=True, forceinline=True)(function)
    return compiled  # type: ignore[no-any-return]


if TYPE_CHECKING:

    def address(array: NDArray[Any]) -> Number:
        """Return where an array begins, which must live longer than what is done with it."""
        ...

    def load8(address: Number, at: Number) -> Number:
        """Return byte number `at`."""
        ...

    def load16(address: Number, at: Number) -> Number:
        """Return 16-bit number number `at`, without sign."""
        ...

    def load32(address: Number, at: Number) -> Number:
        """Return 32-bit number number `at`, without sign."""
        ...

    def load64(address: Number, at: Number) -> Number:
        """Return the 8 bytes from byte number `at` on, which need not be aligned, as a 64-bit number without sign."""
        ...

else:

    @_njit(forceinline=True)
    def address(array):
        """Return where an array begins, which must live longer than what is done with it."""
        return array.ctypes.data

    def _loader(bits, step, kind):
        @intrinsic
        def load(_context, address, at):  # noqa: ARG001 (they are in `arguments`)
            """Load a number, little-endian as all platforms are that numba has wheels for. Nothing is checked."""

            def generate(_, builder, __, arguments):
                word = ir.IntType(64)
                place = builder.add(arguments[0], builder.mul(arguments[1], word(step)))
                pointer = builder.inttoptr(place, ir.IntType(bits).as_pointer())
                found = builder.load(pointer, align=step)
                return found if bits == 64 else builder.zext(found, word)

            return kind(types.uintp, types.intp), generate

        return load

    load8, load16, load32 = (_loader(bits, bits // 8, types.int64) for bits in (8, 16, 32))
    load64 = _loader(64, 1, types.uint64)
