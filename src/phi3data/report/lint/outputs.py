"""``--output FORMAT[:FILE]``, several times: which reports to write, and where to."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from phi3data.errors import OutputError, UsageError, did_you_mean
from phi3data.report.lint import REPORTERS, reporter
from phi3data.sources.files import whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from phi3data.report.lint.results import Options, Results

_PIECE = 2**16


class Output(msgspec.Struct, frozen=True):
    """One report. `file` is None for stdout."""

    format: str
    file: Path | None = None

    @property
    def name(self) -> str:
        """Return the output as the user writes it."""
        return self.format if self.file is None else f"{self.format}:{self.file}"


def parse(values: Iterable[str], inputs: Iterable[str] = ()) -> tuple[Output, ...]:
    """Read the values of ``--output``; nothing given is text on stdout.

    Raises `UsageError` for an unknown format, two reports for one place, or a file that is one of the `inputs`.
    """
    outputs = tuple(map(_output, values)) or (Output("text"),)
    to_stdout = [output.format for output in outputs if output.file is None]
    if len(to_stdout) > 1:
        raise UsageError(
            f"--output {to_stdout[0]} and --output {to_stdout[1]}: one report goes to stdout; "
            f"give the other a file, for example --output {to_stdout[1]}:FILE"
        )
    seen: set[Path] = set()
    for output in outputs:
        if output.file is not None:
            if _same(output.file) in seen:
                raise UsageError(f"--output {output.name}: another report is written to this file")
            seen.add(_same(output.file))
    _keep(outputs, inputs)
    return outputs


def write(outputs: Iterable[Output], results: Results, options: Options, *, stdout: IO[bytes], colour: bool) -> None:
    """Write the reports: files first, whole or not at all, then the one for `stdout`, in UTF-8.

    `colour` says whether stdout is a terminal that wants colours. Raises `OutputError` for a file that cannot be
    written, `UsageError` for one that is among the data.
    """
    outputs = list(outputs)
    _keep(outputs, results.paths)  # once more, now that it is known which files a directory or glob stood for
    for output in sorted(outputs, key=lambda output: output.file is None):
        if output.file is None:
            _pour(output, results, options, stdout, colour=colour)
            continue
        try:
            # A device or pipe cannot be replaced by a finished file.
            special = output.file.exists() and not output.file.is_file()
            with output.file.open("wb") if special else whole(output.file) as file:
                _pour(output, results, options, file, colour=False)
        except OSError as error:
            raise OutputError(f"{output.file}: cannot be written: {error.strerror or error}") from error


def _output(value: str) -> Output:
    name, colon, file = value.partition(":")
    if name not in REPORTERS:
        known = did_you_mean(name, REPORTERS) or f": expected one of {', '.join(REPORTERS)}"
        raise UsageError(f"--output {value}: unknown format '{name}'{known}")
    if colon and not file:
        raise UsageError(f"--output {value}: expected the name of a file after the colon")
    return Output(name, None if file in {"", "-"} else Path(file))


def _keep(outputs: Iterable[Output], inputs: Iterable[str]) -> None:
    """Refuse to write a report over the data."""
    data = {_same(Path(name)) for name in inputs}
    for output in outputs:
        if output.file is not None and _same(output.file) in data:
            raise UsageError(f"--output {output.name}: would replace the data: choose another name")


def _same(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError):  # no name of a file: a glob that is too long, a NUL
        return path


def _pour(output: Output, results: Results, options: Options, file: IO[bytes], *, colour: bool) -> None:
    for piece in _pieces(reporter(output.format)(results, options)):
        text = piece
        if output.format == "text" and not colour:
            import click

            text = click.unstyle(text)
        file.write(text.encode("utf-8", "backslashreplace"))
    file.flush()


def _pieces(parts: Iterable[str]) -> Iterator[str]:
    """Join many short pieces to fewer long ones."""
    held: list[str] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= _PIECE:
            yield "".join(held)
            held, size = [], 0
    yield "".join(held)
