"""The allow-list in one run: which findings are meant to be, and which entries were of no use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from phi3data.findings import Finding, pointer
from phi3data.rules import RULES
from phi3data.rules.placed import Placed
from phi3data.settings.patterns import matches, relative

if TYPE_CHECKING:
    from collections.abc import Iterable

    from phi3data.settings.configured import Settings
    from phi3data.settings.keys import Allow


class Found(Protocol):
    """A finding with its place and fingerprint (`lint.Located`)."""

    @property
    def code(self) -> str: ...  # noqa: D102
    @property
    def message(self) -> str: ...  # noqa: D102
    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def pointer(self) -> str: ...  # noqa: D102
    @property
    def fingerprint(self) -> str: ...  # noqa: D102


class Allowances:
    """The `[[allow]]` entries in one run. Remembers which of them were of use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._used: set[int] = set()
        self._relative: dict[str, str] = {}
        self._by_code: dict[str, list[tuple[int, Allow]]] = {}
        for index, entry in enumerate(settings.keys.allow):
            self._by_code.setdefault(entry.code, []).append((index, entry))

    def allows(self, found: Found) -> bool:
        """Tell whether a finding is meant to be. Every entry that says so counts as used."""
        using = {index for index, entry in self._by_code.get(found.code, ()) if self._covers(entry, found)}
        self._used |= using
        return bool(using)

    def _covers(self, entry: Allow, found: Found) -> bool:
        if entry.path is None:
            return entry.fingerprint == found.fingerprint
        return (
            (entry.pointer is None or entry.pointer == found.pointer)
            and (entry.text is None or entry.text in found.message)
            and matches((entry.path,), self._below_root(found.path))
        )

    def notes(self, paths: Iterable[str], *, whole_project: bool) -> list[Placed]:
        """Return what is wrong with the configuration: unknown rules (Z902), entries that allowed nothing (Z901).

        `paths` are the files looked at. Where the run did not look at everything, an entry by fingerprint is not
        called unused, nor is one by path that none of the files matches: a hook sees the changed files only.
        """
        looked_at = {self._below_root(path): self._settings.codes(path) for path in paths}
        notes = list(self._settings.unknown)
        for index, entry in enumerate(self._settings.keys.allow):
            if index not in self._used and entry.code in RULES and self._in_reach(entry, looked_at, whole_project):
                what = f"path '{entry.path}'" if entry.path is not None else f"fingerprint {entry.fingerprint}"
                message = f"nothing to allow: no {entry.code} of {what} was found; remove the entry"
                notes.append(
                    Placed(Finding("Z901", message, pointer("allow", index)), self._settings.allow_lines[index])
                )
        asked = self._settings.codes(str(self._settings.file))
        return [note for note in notes if note.finding.code in asked]

    def _in_reach(self, entry: Allow, looked_at: dict[str, frozenset[str]], whole_project: bool) -> bool:
        """Tell whether a run that looked for these codes at these files would have found what the entry is about."""
        at = [path for path in looked_at if entry.path is None or matches((entry.path,), path)]
        if entry.path is not None and not at:
            return whole_project
        return any(entry.code in looked_at[path] for path in at) and (entry.path is not None or whole_project)

    def _below_root(self, path: str) -> str:
        if path not in self._relative:
            self._relative[path] = relative(path, self._settings.root)
        return self._relative[path]
