"""Kernels of a module, called without numba where they were compiled before: to load numba takes 0.6 s.

numba compiles a kernel for this processor when it is called for the first time. Its machine code is kept on the disk,
beside the source or in the user's cache, and is loaded by llvmlite alone from then on. The file is named after
everything that it was made from: the module and those of ours that it imports, the versions of numba and llvmlite, the
processor. A kernel that needs anything of numba while it runs (memory, exceptions) is left to numba, and so is any
kernel where numba is other than the code below expects.

A kernel takes arrays (C-contiguous) and whole numbers, and returns nothing, a whole number, or several.
"""

from __future__ import annotations

import ctypes
import os
import re
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from phi3data.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KNOWN = ("0.68.",)  # versions of numba whose calls of functions the code below was written for and tried with
_NATIVE = "NRT_MemInfo_call_dtor"  # what ends the memory of an array: no kernel that is kept has any of its own
_STUB = f"define linkonce_odr void @{_NATIVE}(ptr %memory) {{\n ret void\n}}"
_OTHER = (AttributeError, KeyError, RuntimeError)  # what another numba or llvmlite raises than those known here
_lock = RLock()
_engines: list[Any] = []  # they hold the code in memory


class Kernels:
    """The kernels of a module, each by its name. The module is imported where one of them is to be compiled."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._made: dict[str, _Kernel] = {}

    def __getattr__(self, name: str) -> _Kernel:
        return self._made.setdefault(name, _Kernel(self._module, name))

    @property
    def loaded(self) -> bool:
        """Whether one of them has been called: what that takes is paid for."""
        return bool(self._made)

    @property
    def kept(self) -> bool:
        """Whether some of them are on the disk: else the first call takes some ten seconds."""
        name = f"{self._module.rpartition('.')[2]}.*-{_made_from(self._module)}-*.kernel"
        return any(True for folder in _folders(self._module) for _ in folder.glob(name))


class _Kernel:
    """A function of a module, compiled for each kind of arguments that it is called with."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name
        self._calls: dict[str, Callable[..., Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        kinds = ",".join([_kind(argument) for argument in arguments])
        call = self._calls.get(kinds)
        if call is None:
            with _lock:
                call = self._calls.get(kinds) or _found(self._module, self._name, kinds, arguments)
                self._calls[kinds] = call
        return call(*arguments)


class _Code(msgspec.Struct, frozen=True):
    """Machine code: a function in an object file, the words that its arguments take, the numbers that it returns."""

    symbol: str
    words: int
    numbers: int
    file: bytes


def _kind(argument: Any) -> str:
    if not isinstance(argument, np.ndarray):
        return "i"
    assert argument.flags.c_contiguous
    return f"{argument.dtype.str}{argument.ndim}"


def _found(module: str, name: str, kinds: str, arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """Load a kernel, or compile it and keep it."""
    file = f"{module.rpartition('.')[2]}.{name}-{_made_from(module)}-{_digest(kinds)}.kernel"
    places = [folder / file for folder in _folders(module)]
    for path in places:
        with suppress(OSError, msgspec.DecodeError, *_OTHER):
            return _loaded(msgspec.msgpack.decode(path.read_bytes(), type=_Code))
    code = _compiled(module, name, arguments)
    if code is not None:
        with suppress(*_OTHER):
            call = _loaded(code)
            _keep(code, places, Path(_source(module)))
            return call
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


def _keep(code: _Code, places: list[Path], source: Path) -> None:
    """Write a kernel to the first of the places that can be written to; those made before the source was go."""
    for path in places:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            part.write_bytes(msgspec.msgpack.encode(code))
            part.replace(path)
            _clear(path, source)
            return


def _clear(kept: Path, source: Path) -> None:
    """Remove what was kept of a kernel before its source was written."""
    for other in kept.parent.glob(f"{kept.name.partition('-')[0]}-*.kernel"):
        with suppress(OSError):  # another process is at it, too, or has loaded it
            if other.stat().st_mtime < source.stat().st_mtime:
                other.unlink()


def _folders(module: str) -> Iterator[Path]:
    """Yield where kernels are kept: beside the source, or where that cannot be written to."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    yield Path(chosen) if chosen else Path(_source(module)).with_name("__pycache__")
    with suppress(RuntimeError):  # no home
        yield Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "phi3kit"


def _source(module: str) -> str:
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return spec.origin


def sources(module: str) -> list[Path]:
    """Return the files of a module and of those of this package that it imports, and they in turn."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = Path(_source(name))
            waiting += re.findall(r"^from (phi3data[\w.]*) import", found[name].read_text("utf-8"), re.MULTILINE)
    return list(found.values())


@cache
def _made_from(module: str) -> str:
    """Return a digest of all that kernels of a module are made from."""
    from llvmlite import __version__, binding

    files = [*sources(module), Path(_source("numba")).with_name("_version.py")]
    parts = sorted(sha256(file.read_bytes()).hexdigest() for file in files)
    chosen = [os.environ.get(name, "") for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")]
    processor = [binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()]
    return _digest(repr([VERSION, parts, chosen, __version__, processor]))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def _compiled(module: str, name: str, arguments: tuple[Any, ...]) -> _Code | None:
    """Compile a kernel by numba; None where its code cannot stand alone."""
    from llvmlite import binding

    numba: Any = import_module("numba")
    types = numba.types
    function = getattr(getattr(import_module(module), name), "py_func", None)
    if function is None or not numba.__version__.startswith(_KNOWN):  # or numba is told to compile nothing
        return None
    kinds = tuple(
        types.Array(numba.from_dtype(one.dtype), one.ndim, "C") if isinstance(one, np.ndarray) else types.int64
        for one in arguments
    )
    try:
        dispatcher = numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
        dispatcher.compile(kinds)
        made = dispatcher.overloads[kinds]
        symbol, machine = made.fndesc.llvm_func_name, made.library._codegen._tm
        code = binding.parse_bitcode(made.library._final_module.as_bitcode())
    except _OTHER:
        return None
    numbers = _numbers(types, made.signature.return_type)
    needed = {one.name for one in code.functions if one.is_declaration and not one.name.startswith("llvm.")}
    words = sum(5 + 2 * one.ndim if isinstance(one, types.Array) else 1 for one in kinds)
    if numbers is None or needed - {_NATIVE} or len(list(code.get_function(symbol).arguments)) != 2 + words:
        return None
    if needed:
        code.link_in(binding.parse_assembly(_STUB))
    return _Code(symbol, words, numbers, machine.emit_object(code))


def _numbers(types: Any, kind: Any) -> int | None:
    """Return how many whole numbers of 64 bits a function of this kind returns; None if it returns something else."""
    if kind == types.none:
        return 0
    several = kind.types if isinstance(kind, types.BaseTuple) else (kind,)
    return len(several) if all(one == types.int64 for one in several) else None


def _loaded(code: _Code) -> Callable[..., Any]:
    """Return the function that the machine code holds."""
    from llvmlite import binding

    engine = _engine(binding)
    engine.add_object_file(binding.ObjectFileRef.from_data(code.file))
    engine.finalize_object()
    kind = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * code.words)
    function = kind(engine.get_function_address(code.symbol))
    _engines.append(engine)

    def call(*arguments: Any) -> Any:
        given: list[int] = []
        for one in arguments:
            if isinstance(one, np.ndarray):
                given += (0, 0, one.size, one.itemsize, one.ctypes.data, *one.shape, *one.strides)
            else:
                given.append(one)
        result, raised = (ctypes.c_int64 * max(1, code.numbers))(), ctypes.c_void_p()
        if function(result, ctypes.byref(raised), *given):
            raise RuntimeError(f"a kernel ended with an error: {code.symbol}")
        return tuple(result) if code.numbers > 1 else result[0] if code.numbers else None

    return call


def _engine(binding: Any) -> Any:
    with suppress(RuntimeError):  # newer versions need not be told
        binding.initialize()
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(jit=True)
    return binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
