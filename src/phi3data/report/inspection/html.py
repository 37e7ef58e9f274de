"""An inspected row as one self-contained page: no scripts, no network, everything from the data escaped."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from phi3data import family
from phi3data.report import html as report
from phi3data.report.html.visible import mark, plain
from phi3data.report.inspection import wording
from phi3data.report.inspection.lines import STRUCK, signed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import jinja2

    from phi3data.inspection.view import Inspection, Token


def render(rows: Sequence[Inspection]) -> str:
    """Return the page. The same rows give the same text."""
    template, styles = _template()
    return template.render(rows=rows, styles=styles, title=", ".join(row.place for row in rows[:3]))


@cache
def _template() -> tuple[jinja2.Template, Markup]:
    """Return the compiled template, and the styles of the report with those of this page after them."""
    folder = Path(__file__).parent
    made = report.environment(folder, keep_trailing_newline=True)
    made.globals |= {
        "about": wording.about,
        "spelled": wording.spelled,
        "problem": wording.problem,
        "place": wording.place,
        "totals": wording.totals,
        "no_tokenizer": lambda row: wording.no_tokenizer(family.model(row.settings.model).hub),
        "text": _text,
        "tokens": tokens,
        "excerpt": _excerpt,
    }
    styles = "".join(
        file.read_text(encoding="utf-8") for file in (Path(report.__file__).parent / "report.css", folder / "page.css")
    )
    return made.get_template("page.html.j2"), Markup(styles)  # noqa: S704 - our own files


def _text(row: Inspection) -> Markup:
    """Return the text that the model reads, its control tokens and swallowed white space marked."""
    assert row.rendered is not None
    signs, at = signed(row.rendered), 0
    out = Markup()
    for piece in row.pieces:
        end = at + len(piece.text)
        if piece.kind == "control":
            out += Markup("<b>{}</b>").format(plain(piece.text))
        elif piece.kind == "swallowed":
            out += Markup("<del>{}</del>").format(piece.text.translate(STRUCK).replace("⏎", "⏎\n"))
        else:
            out += _signs(piece.text, signs[at:end])
        at = end
    return out


def _signs(text: str, signs: str) -> Markup:
    """Return a text with the signs of its white space set apart, and line ends after theirs."""
    out = Markup()
    for differs, pairs in groupby(zip(text, signs, strict=True), key=lambda pair: pair[0] != pair[1]):
        run = "".join(pair[differs] for pair in pairs)
        if differs:
            out += Markup("<i>{}</i>").format(run.replace("⏎", "⏎\n"))
        else:
            out += mark(run, changed=False)
    return out


def tokens(row: Inspection) -> Markup:
    """Return the tokens, each an element; its number, its name and whether it is trained on are in its title."""
    assert row.tokens is not None
    assert row.rendered is not None
    return Markup().join(_cells(row, row.tokens, signed(row.rendered)))


def _cells(row: Inspection, tokens: list[Token], signs: str) -> Iterator[Markup]:
    text, limit = row.rendered or "", row.settings.limit
    for number, token in enumerate(tokens):
        if number == limit:
            yield Markup('<b class="limit">limit of {:,} tokens: what follows is cut off</b>').format(limit)
        kinds = {"s": token.supervised, "c": token.control, "o": number >= limit}
        words = text[token.start : token.end]
        if token.control or token.shown != words:
            shown = Markup("{}").format(plain(token.shown))
        else:
            shown = _signs(words, signs[token.start : token.end])
        if token.completes:
            shown += Markup("<i>={}</i>").format(plain(token.completes))
        title = f"{plain(token.name)}, id {token.id}{', trained on' if token.supervised else ''}"
        classes = "".join(f" {name}" for name, holds in kinds.items() if holds)
        yield Markup('<span class="t{}" title="{}">{}</span>').format(classes, title, shown)
        following = tokens[number + 1].start if number + 1 < len(tokens) else len(text)
        if "\n" in text[token.end : following]:
            yield Markup("\n")


def _excerpt(row: Inspection) -> Markup:
    """Return the raw text of a row that cannot be read, the place that the finding names marked."""
    column = row.problem.column if row.problem else None
    at = None if column is None else column - 1 - row.cut
    if at is None or not 0 <= at < len(row.excerpt):
        return mark(row.excerpt, changed=False)
    here = Markup("<del>{}</del>").format(mark(row.excerpt[at], changed=False))
    return mark(row.excerpt[:at], changed=False) + here + mark(row.excerpt[at + 1 :], changed=False)
