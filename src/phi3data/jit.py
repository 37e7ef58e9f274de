"""How kernels are compiled by numba, with types, and loads from memory that numba lacks.

Importing this module imports numba (about 0.5 s): only kernels do.

Compiled kernels are kept on the disk beside their source, by `native.py`, or by numba where that is another than
`native.py` knows. numba notices a change of the file that a kernel is in, and of no other: what it keeps in a folder
whose source is edited must be deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: A number in a kernel; numba infers its kind. numpy's types for single numbers do not go with Python's in mypy.
Number: TypeAlias = Any

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def kernel(function: _Function) -> _Function:
    """Compile a function for any array, releasing the GIL; the result is kept on the disk where that can be written."""
    compiled: Any
    try:
        compiled = njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder to keep it in: an installation that is read-only, and no home
        compiled = njit(nogil=True)(function)
    return compiled  # type: ignore[no-any-return]


def part(function: _Function) -> _Function:
    """Compile a function that only kernels call: without what Python needs to call it, and kept with them."""
    without: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiled: Any = njit(nogil=True, **without)(function)
    return compiled  # type: ignore[no-any-return]


def inlined(function: _Function) -> _Function:
    """Compile a function into each of its callers.

    It should take addresses, not arrays: numba counts references to an array that is handed on, which takes longer than
    most of the functions here (three times the time of counting).
    """
    compiled: Any = njit(nogil=True, forceinline=True)(function)
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

    def store8(address: Number, at: Number, number: Number) -> None:
        """Write the lowest byte of a number to byte number `at`."""
        ...

    def store64(address: Number, at: Number, number: Number) -> None:
        """Write a 64-bit number to the 8 bytes from byte number `at` on, which need not be aligned."""
        ...

    def white64(address: Number, at: Number) -> Number:
        """Tell which of the 64 bytes from byte number `at` on are white space of ASCII: a bit each."""
        ...

    def lead64(address: Number, at: Number) -> Number:
        """Tell which of the 64 bytes from byte number `at` on begin a character of three or four bytes: a bit each."""
        ...

    def lowest(bits: Number) -> Number:
        """Return the place of the lowest bit that is set; one is."""
        ...

else:

    @njit(forceinline=True)
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

    def _storer(bits):
        @intrinsic
        def store(_context, address, at, number):  # noqa: ARG001 (they are in `arguments`)
            """Store the lower bits of a number as they are loaded. Nothing is checked."""

            def generate(context, builder, __, arguments):
                pointer = builder.inttoptr(builder.add(arguments[0], arguments[1]), ir.IntType(bits).as_pointer())
                number = arguments[2] if bits == 64 else builder.trunc(arguments[2], ir.IntType(bits))
                builder.store(number, pointer, align=1)
                return context.get_dummy_value()

            return types.void(types.uintp, types.intp, types.uint64), generate

        return store

    store8, store64 = _storer(8), _storer(64)

    def _finder(found):
        vector = ir.VectorType(ir.IntType(8), 64)

        def constant(byte):
            return ir.Constant(vector, [ir.Constant(ir.IntType(8), byte)] * 64)

        @intrinsic
        def find(_context, address, at):  # noqa: ARG001 (they are in `arguments`)
            """Tell of each of 64 bytes whether it is looked for. Nothing is checked."""

            def generate(_, builder, __, arguments):
                pointer = builder.inttoptr(builder.add(*arguments), vector.as_pointer())
                return builder.bitcast(found(builder, builder.load(pointer, align=1), constant), ir.IntType(64))

            return types.uint64(types.uintp, types.intp), generate

        return find

    def _is_white(builder, octets, constant):
        """9 to 13, and 28 to 32: white space, as Python has it."""
        low = builder.icmp_unsigned("<", builder.sub(octets, constant(9)), constant(5))
        return builder.or_(low, builder.icmp_unsigned("<", builder.sub(octets, constant(28)), constant(5)))

    white64 = _finder(_is_white)
    lead64 = _finder(lambda builder, octets, constant: builder.icmp_unsigned(">=", octets, constant(0xE0)))

    @intrinsic
    def lowest(_context, bits):  # noqa: ARG001 (it is in `arguments`)
        """Return the place of the lowest bit that is set; one is."""

        def generate(_, builder, __, arguments):
            return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

        return types.int64(types.uint64), generate


@inlined
def point_at(text: Number, at: Number) -> Number:
    """Return the character beyond ASCII that begins at a byte of UTF-8."""
    first = load8(text, at)
    if first < 0xE0:
        return (first & 31) << 6 | load8(text, at + 1) & 63
    if first < 0xF0:
        return (first & 15) << 12 | (load8(text, at + 1) & 63) << 6 | load8(text, at + 2) & 63
    high = (first & 7) << 18 | (load8(text, at + 1) & 63) << 12
    return high | (load8(text, at + 2) & 63) << 6 | load8(text, at + 3) & 63


@inlined
def copied(source: Number, start: Number, end: Number, target: Number, to: Number) -> Number:
    """Copy bytes to where none of them stand, eight at a time, and return where they end."""
    while start + 8 <= end:
        store64(target, to, load64(source, start))
        start += 8
        to += 8
    while start < end:
        store8(target, to, load8(source, start))
        start += 1
        to += 1
    return to
