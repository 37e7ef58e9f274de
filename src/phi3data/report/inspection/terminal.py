"""An inspected row for the terminal: the chat, the text, the tokens, the counts.

Without colour it says the same: trained-on lines begin with ``+``, lines past the limit with ``~``, control tokens
stand in ⟨ ⟩. Nothing of the data reaches the terminal as it is: control characters are shown by their numbers.
"""

from __future__ import annotations

import re
from io import StringIO
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from phi3data import family
from phi3data.report.html.visible import plain
from phi3data.report.inspection import wording
from phi3data.report.inspection.lines import STRUCK, SWALLOWED, Atom, exact, flow, marked, signed, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from phi3data.inspection.view import Inspection, Token, Turn

_SPACES = ("⏎ line end", "· space at an end or in a run")


def render(found: Inspection, *, width: int = 80, colour: bool = False) -> str:
    """Return what to print, for a terminal of `width` cells; escape sequences only with `colour`."""
    sheet = _Sheet(max(width, 20), colour=colour)
    sheet.heading(found)
    if not found.usable:
        sheet.unusable(found)
        return sheet.text()
    sheet.chat(found)
    if found.rendered is not None:
        sheet.rendered(found)
    if found.tokens is not None:
        sheet.tokens(found, found.tokens)
    sheet.totals(found)
    return sheet.text()


class _Sheet:
    """Gathers lines."""

    def __init__(self, width: int, *, colour: bool) -> None:
        self.width, self.colour = width, colour
        self._out: list[Text] = []

    def text(self) -> str:
        """Return all lines, each with its line feed."""
        if not self.colour:
            return "".join(line.plain.rstrip() + "\n" for line in self._out)
        file = StringIO()
        console = Console(
            file=file,
            width=self.width,
            force_terminal=True,
            color_system="standard",
            no_color=False,
            legacy_windows=False,
            highlight=False,
        )
        for line in self._out:
            console.print(line, soft_wrap=True)
        return file.getvalue()

    def _line(self, *atoms: Atom) -> None:
        self._out.append(Text.assemble(*(part for atom in atoms for part in atom.parts)))

    def _flow(self, atoms: Iterable[Atom], first: Atom, other: Atom | None = None) -> None:
        """Add lines that begin with `first`, and with `other` (blanks, if not given) from the second on."""
        begin = first
        for line in flow(atoms, self.width - first.width):
            self._line(begin, *line)
            begin = other or Atom(" " * first.width)

    def _section(self, title: str) -> None:
        self._line(Atom(""))
        head = f"── {title} "
        if cell_len(head) > self.width:
            self._flow(words(title, "bold"), Atom("── ", "bold"), Atom("   "))
            return
        self._line(Atom(head, "bold"), Atom("─" * (self.width - cell_len(head)), "dim"))

    def _legend(self, *signs: str, more: Iterable[Atom] = ()) -> None:
        self._flow([*words("  ".join(signs), "dim"), *more], Atom(""))
        self._line(Atom(""))

    def heading(self, found: Inspection) -> None:
        """Add the place of the row."""
        self._flow(words(found.place, "bold"), Atom(""))
        self._flow(words(wording.place(found), "dim"), Atom(""))

    def _finding(self, code: str, text: str, indent: str, style: str = "yellow") -> None:
        self._flow(words(text, style), Atom(f"{indent}! {code} ", f"bold {style}"))

    def unusable(self, found: Inspection) -> None:
        """Add what is wrong with a row that cannot be read, and its raw text."""
        assert found.problem is not None
        self._line(Atom(""))
        self._finding(found.problem.code, wording.problem(found.problem), "", "red")
        if not found.excerpt:
            return
        self._section("Raw text" + (f" from character {found.cut + 1:,}" if found.cut else ""))
        column = found.problem.column
        at = None if column is None or column <= found.cut else column - 1 - found.cut
        if at is None or at >= len(found.excerpt):
            self._flow(words(found.excerpt), Atom("  "))
            return
        before, here, after = found.excerpt[:at], found.excerpt[at], found.excerpt[at + 1 :]
        mark = Atom(f"▶{plain(here)}◀" if not self.colour else plain(here), "bold reverse red")
        self._flow([*words(before), mark, *words(after)], Atom("  "))

    def chat(self, found: Inspection) -> None:
        """Add the messages, each with what is lost of it."""
        self._section("Chat")
        for note in found.notes:
            self._finding(note.code, wording.problem(note), "", "red" if note == found.problem else "yellow")
        if found.tools is not None:
            self._line(Atom("tools", "bold magenta"))
            self._flow(
                words(found.tools, "dim" if any(note.pointer == "/tools" for note in found.notes) else ""), Atom("  ")
            )
        for number, turn in enumerate(found.turns):
            if number or found.notes or found.tools is not None:
                self._line(Atom(""))
            self._turn(found, turn)

    def _turn(self, found: Inspection, turn: Turn) -> None:
        style = "dim strike" if not turn.rendered else "green" if turn.supervised else "cyan"
        about = wording.about(turn, estimated=found.settings.tokenizer.estimated) if found.rendered is not None else ""
        self._flow([*words(turn.role, f"bold {style}"), *words(f"  {about}", "dim")], Atom(""))
        atoms: list[Atom] = []
        for piece in turn.pieces or ():
            if piece.kind == "control":
                atoms.append(Atom(plain(piece.text), "bold yellow"))
            else:
                atoms += words(piece.text, "" if turn.rendered else "dim")
        if turn.pieces is None:
            atoms.append(Atom("no text", "dim italic"))
        elif not atoms:
            atoms.append(Atom("empty", "dim italic"))
        self._flow(atoms, Atom("  "))
        for name, text in turn.extras.items():
            self._flow(words(text), Atom(f"  {name}: ", "magenta"), Atom("    "))
        refused = found.settings.control_text == "error"
        for code, sentence in wording.spelled(turn, found.settings.control_text):
            self._finding(code, sentence, "  ", "red" if refused else "yellow")
        for note in turn.notes:
            self._finding(note.code, wording.problem(note), "  ", "red" if note == found.problem else "yellow")

    def rendered(self, found: Inspection) -> None:
        """Add the text as the model reads it."""
        assert found.rendered is not None
        self._section("Text that the model reads")
        swallowed = any(piece.kind == "swallowed" for piece in found.pieces)
        gone = Atom("⏎ ␣", "dim strike") if self.colour else Atom("␤ ␣", "dim")
        more = [Atom("  "), gone, Atom(" swallowed by a control token", "dim")] if swallowed else []
        self._legend(*_SPACES, more=more)
        signs, at = signed(found.rendered), 0
        atoms: list[Atom] = []
        for piece in found.pieces:
            end = at + len(piece.text)
            if piece.kind == "control":
                atoms.append(self._control(piece.text, "bold reverse"))
            elif piece.kind == "swallowed":
                atoms += exact(piece.text, piece.text.translate(STRUCK if self.colour else SWALLOWED), "dim strike")
            else:
                atoms += exact(piece.text, signs[at:end])
            at = end
        self._flow(atoms, Atom("  "))

    def _control(self, text: str, style: str) -> Atom:
        return Atom(plain(text) if self.colour else f"⟨{plain(text)}⟩", style)

    def tokens(self, found: Inspection, tokens: list[Token]) -> None:
        """Add the tokens in lines that are trained on or not as a whole, with a mark in front."""
        assert found.rendered is not None
        self._section("Tokens")
        self._legend(
            "+ trained on",
            *([] if self.colour else ["⟨…⟩ control token"]),
            "│ token border",
            *(["<0xE4> byte"] if any(token.shown.startswith("<0x") for token in tokens) else []),
            "· space",
            *(["▁ added"] if any(token.shown == "▁" for token in tokens) else []),
        )
        signs = signed(found.rendered)
        limit = found.settings.limit
        for start, end in _runs(tokens, limit):
            if start == limit:
                self._limit(found)
            supervised, past = tokens[start].supervised, start >= limit
            style = ("green" if supervised else "dim") + (" strike" if past else "")
            gutter = Atom(f"{'~' if past else ' '}{'+' if supervised else ' '} ", "green" if supervised else "dim")
            self._flow(self._cells(found.rendered, signs, tokens[start:end], style), gutter, gutter)

    def _limit(self, found: Inspection) -> None:
        head = f"limit of {found.settings.limit:,} tokens: what follows is cut off "
        rule = Atom("~" * max(self.width - cell_len(head) - 3, 0), "red")
        self._flow([*words(head, "bold red"), rule], Atom("~~ ", "red"))

    def _cells(self, text: str, signs: str, tokens: list[Token], style: str) -> Iterator[Atom]:
        parts = ""  # of a character, whose tokens stay together
        for number, token in enumerate(tokens):
            following = tokens[number + 1] if number + 1 < len(tokens) else None
            # White space that a control token swallowed may lie between two tokens: its line ends end the line here.
            between = text[token.end : following.start] if following else ""
            ends = text[token.start : token.end].endswith("\n") or "\n" in between
            if token.control:
                yield self._control(token.shown, f"{style} bold reverse".replace("dim ", ""))._replace(ends=ends)
                continue
            own = token.shown == text[token.start : token.end]
            shown = plain(token.shown)
            if following is not None and _is_part(token) and _is_part(following) and not token.completes:
                parts += shown
                continue
            more = [(f"={plain(token.completes)}", style)] if token.completes else []
            if following is not None and not ends and _needs_bar(token, following):
                more.append(("│", "dim"))
            atom = Atom(parts + shown, f"{style} dim" if token.completes else style, ends)
            if own:
                atom = marked(token.shown, _space(signs[token.start : token.end]), style, ends=ends)
            yield atom._replace(more=(*atom.more, *more))
            parts = ""

    def totals(self, found: Inspection) -> None:
        """Add the counts."""
        self._section("Counts")
        if found.settings.tokenizer.estimated and found.counts is not None:
            hub = family.model(found.settings.model).hub
            self._flow(words(wording.no_tokenizer(hub), "yellow"), Atom("  "))
        for name, text in wording.totals(found).items():
            style = "bold" if name in {"tokens", "limit"} else "yellow" if name == "note" else ""
            self._flow(words(text, style), Atom(f"  {name:<11}", "dim"))


def _runs(tokens: list[Token], limit: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of tokens that are alike: trained on or not, within the limit or past it."""
    start = 0
    for at in range(1, len(tokens) + 1):
        if at == len(tokens) or at == limit or tokens[at].supervised != tokens[start].supervised:
            yield start, at
            start = at


def _space(text: str) -> str:
    """Return a token that is nothing but a space as a sign, so that a line's end does not hide it."""
    return "·" if text == " " else text


def _is_part(token: Token) -> bool:
    """Whether a token is one byte: its border is seen without a bar."""
    return re.fullmatch(r"<0x[0-9A-F]{2}>", token.shown) is not None


def _needs_bar(token: Token, following: Token) -> bool:
    """Tell whether the border of two tokens would not be seen: the space at the start of a word shows it."""
    if following.control:
        return False
    return not (following.shown[:1] == " " and following.shown[1:2].strip() and not token.shown[-1:].isspace())
