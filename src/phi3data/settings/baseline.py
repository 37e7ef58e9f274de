"""The baseline: the findings that were there when the linter came, so that it speaks of new ones only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from phi3data.errors import InputError
from phi3data.sources.files import whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from phi3data.settings.allow import Found

    Item = TypeVar("Item", bound=Found)

Key = tuple[str, str]  # code, fingerprint


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str
    fingerprint: str
    count: int


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    findings: list[_Entry]


class _Head(msgspec.Struct):
    version: int


class Baseline(msgspec.Struct, frozen=True):
    """How often each finding was there, by code and fingerprint: independent of files, lines and their order."""

    counts: Mapping[Key, int]

    @classmethod
    def of(cls, findings: Iterable[Found]) -> Baseline:
        """Return the baseline that holds exactly these findings."""
        return cls(Counter((found.code, found.fingerprint) for found in findings))

    @classmethod
    def load(cls, path: Path) -> Baseline:
        """Read a baseline. Raises `InputError` for a file that is missing or that `save` did not write."""
        try:
            data = path.read_bytes()
            head = msgspec.json.decode(data, type=_Head)
            if head.version > 1:
                raise InputError(f"{path}: a baseline of version {head.version}, made by a later phi3data")
            entries = msgspec.json.decode(data, type=_Document).findings
        except FileNotFoundError:
            raise InputError(f"{path}: there is no baseline; phi3data baseline write makes it") from None
        except OSError as error:
            raise InputError(f"{path}: the baseline cannot be read: {error.strerror}") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            text = str(error).replace("`", "")
            raise InputError(
                f"{path}: no baseline: {text}; phi3data baseline write --overwrite makes it anew"
            ) from None
        counts = {(entry.code, entry.fingerprint): entry.count for entry in entries}
        if len(counts) < len(entries) or any(count < 1 for count in counts.values()):
            raise InputError(
                f"{path}: no baseline: a fingerprint twice, or a count below 1 (a merge gone wrong?); "
                "phi3data baseline write --overwrite makes it anew"
            )
        return cls(counts)

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all: sorted, one finding a line, so that a change of it reads well."""
        entries = (_Entry(*key, count) for key, count in sorted(self.counts.items()))
        lines = ",".join(f"\n    {msgspec.json.encode(entry).decode()}" for entry in entries)
        end = "\n  ]" if lines else "]"
        with whole(path) as file:
            file.write(f'{{\n  "version": 1,\n  "findings": [{lines}{end}\n}}\n'.encode())

    def filter(self, findings: Iterable[Item]) -> Iterator[Item]:
        """Yield the findings that are new, in their order: a further copy of a known one is new."""
        left = dict(self.counts)
        for found in findings:
            key = (found.code, found.fingerprint)
            if left.get(key, 0):
                left[key] -= 1
            else:
                yield found

    def prune(self, findings: Iterable[Found]) -> Baseline:
        """Return the baseline without what these findings no longer hold. It never grows."""
        seen = Baseline.of(findings).counts
        kept = {key: min(count, seen.get(key, 0)) for key, count in self.counts.items()}
        return Baseline({key: count for key, count in kept.items() if count})

    def by_code(self) -> dict[str, int]:
        """Return how many findings there are of each code, by code."""
        counts: Counter[str] = Counter()
        for (code, _), count in self.counts.items():
            counts[code] += count
        return dict(sorted(counts.items()))

    @property
    def total(self) -> int:
        """How many findings there are."""
        return sum(self.counts.values())
