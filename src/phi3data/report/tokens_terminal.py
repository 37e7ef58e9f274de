"""The report of `phi3data tokens` in the terminal: legible at 80 columns, without colour, and in ASCII."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from msgspec.structs import replace
from rich.text import Text

from phi3data.engine.tokens import LIMITS
from phi3data.report.tokens import PERCENTS, Bin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3data.report.tokens import File, Limit, Percentiles, TokenReport

WIDTH = 80
_STDIN = "<stdin>"
_BINS = 16  # more would not be read at a glance: then half the resolution
_EIGHTHS = " ▏▎▍▌▋▊▉"
_ASCII = str.maketrans("█▉▊▋▌▍▎▏–─×▸", "########--x>")
_LOSS = {"assistant": "every assistant turn", "last": "the last assistant turn", "all": "all turns"}


def render(report: TokenReport, *, encoding: str = "utf-8") -> Text:
    """Return the report as text for a console. What `encoding` cannot write is written in ASCII."""
    sheet = _Sheet(encoding, estimated=report.estimated)
    _headline(sheet, report)
    _histogram(sheet, report)
    _percentiles(sheet, report)
    _limits(sheet, report)
    _longest(sheet, report)
    _packing(sheet, report)
    _cost(sheet, report)
    return Text("\n").join(sheet.lines)


class _Sheet:
    """Gathers lines. Nothing that a file is called can write to the terminal but text."""

    def __init__(self, encoding: str, *, estimated: bool) -> None:
        self.lines: list[Text] = []
        self._estimated = estimated
        try:
            "".join(map(chr, _ASCII)).encode(encoding)
            self._encoding = encoding
        except (UnicodeEncodeError, LookupError):
            self._encoding = "ascii"

    def line(self, *parts: str | tuple[str, str]) -> None:
        """Add a line of texts, or of texts and their styles."""
        text = Text()
        for part in parts:
            words, style = (part, "") if isinstance(part, str) else part
            text.append(self._plain(words), style)
        text.rstrip()
        self.lines.append(text)

    def sentence(self, words: str, kind: str = "") -> None:
        """Add lines of a sentence that may need several; `kind` is a word that it begins with."""
        indent = "  " if kind else "    "
        first, *others = wrap(words, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        self.line((kind, "yellow"), first.removeprefix(kind))
        for line in others:
            self.line(line)

    def title(self, words: str) -> None:
        """Begin a section; each says where its numbers are estimates."""
        self.line()
        self.line((words, "bold"), (" (estimated)", "yellow") if self._estimated else "")

    def _plain(self, words: str) -> str:
        shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in words)
        if self._encoding == "ascii":
            shown = shown.translate(_ASCII)
        return shown.encode(self._encoding, "backslashreplace").decode(self._encoding)


def _headline(sheet: _Sheet, report: TokenReport) -> None:
    about = "an estimated " if report.estimated else ""
    supervised = f"{report.supervised:,} of them supervised ({_share(report.supervised, report.tokens)})"
    counts = f"{_plural(report.rows, 'row')}, {about}{_plural(report.tokens, 'token')}, {supervised}"
    sheet.line((counts, "bold"))
    if report.estimated:
        sheet.line(("estimated", "yellow"), f": the tokenizer of {report.model} is not on this machine;")
        sheet.line("for exact counts: --tokenizer with its directory, or --online to download it")
    else:
        sheet.line(f"exact: tokenizer {report.tokenizer}")
    sheet.line(f"chat template {report.template}; loss on {_LOSS[report.loss_on]}")
    if report.note:
        sheet.sentence(f"note: {report.note}", "note")
    if report.rows_without_supervised:
        none = _plural(report.rows_without_supervised, "row")
        sheet.line(("warning", "yellow"), f": {none} without a supervised token: nothing is learnt there")
    for file in report.files:
        if file.unreadable:
            sheet.line(("warning", "yellow"), f": {file.path}: {_plural(file.unreadable, 'row')} could not be read:")
            sheet.line(f"  {_remedy(file)} says why")
            reason = f"{file.first_unreadable_reason} ({file.first_unreadable_code})"
            place = _place(file, file.first_unreadable_line, file.first_unreadable_record)
            sheet.sentence(f"  the first, in {place}: {reason}")
        if file.unrenderable:
            rows = _plural(file.unrenderable, "row")
            sheet.line(("warning", "yellow"), f": {file.path}: {rows} cannot be rendered:")
            sheet.line("  training stops there; here they are counted by their words alone")
            place = _place(file, file.first_unrenderable_line, file.first_unrenderable_record)
            sheet.sentence(f"  the first, in {place}: {file.first_unrenderable_reason} (T605)")


def _place(file: File, line: int | None, record: int | None) -> str:
    return f"line {line:,}" if file.layout == "lines" else f"row {record:,}"


def _remedy(file: File) -> str:
    path = "-" if file.path == _STDIN else file.path
    if file.format == "chat":
        return f"phi3data check {path}"
    return f"phi3data convert {path} -o CHAT.jsonl --dropped DROPPED.jsonl"  # check reads chat rows only


def _histogram(sheet: _Sheet, report: TokenReport) -> None:
    sheet.title("Tokens per row")
    bins = joined(report.histogram, report.context)
    if len(bins) > _BINS:
        bins = joined(folded(report.histogram), report.context)
    labels = [f"{each.first:,}–{each.last:,}" for each in bins]
    wide, rows_wide = max(6, *map(len, labels)), max(4, *(len(f"{each.rows:,}") for each in bins))
    room = WIDTH - 2 - wide - 2 - rows_wide - 2 - 6 - 2
    most = max(each.rows for each in bins)
    mark = _context(report)
    sheet.line((f"  {'tokens':>{wide}}  {'rows':>{rows_wide}}  {'cum.':>6}", "dim"))
    for label, each in zip(labels, bins, strict=True):
        if each.first > report.context and mark:
            sheet.line((mark, "yellow"))
            mark = ""
        share = _share(round(each.cumulative * report.rows), report.rows)
        sheet.line(f"  {label:>{wide}}  {each.rows:>{rows_wide},}  {share:>6}  ", (_bar(each.rows, most, room), "cyan"))
    if mark:
        sheet.line((mark, "yellow"))


def _context(report: TokenReport) -> str:
    over = next(limit.rows_over for limit in report.limits if limit.limit == report.context)
    longer = f"{_plural(over, 'row')} longer" if over else "every row fits"
    words = f"  ── {report.context:,}: context of {report.model}, {longer} "
    return words.ljust(WIDTH, "─")


def folded(bins: Sequence[Bin]) -> list[Bin]:
    """Return bins of powers of two only."""
    out: list[Bin] = []
    for each in bins:
        last = max(1 << (each.last - 1).bit_length(), 16)
        if out and out[-1].last == last:
            out[-1] = replace(out[-1], rows=out[-1].rows + each.rows, cumulative=each.cumulative)
        else:
            first = 0 if last == 16 else last // 2 + 1
            out.append(Bin(first=first, last=last, rows=each.rows, cumulative=each.cumulative))
    return out


def joined(bins: Sequence[Bin], context: int) -> list[Bin]:
    """Return the bins with neighbours that are empty in one, but for those on either side of the context."""
    out: list[Bin] = []
    for each in bins:
        if out and not each.rows and not out[-1].rows and each.first != context + 1:
            out[-1] = replace(out[-1], last=each.last)
        else:
            out.append(each)
    return out


def _bar(rows: int, most: int, room: int) -> str:
    """Return a bar in eighths of a character; rows that are there are never drawn as nothing."""
    if not rows:
        return ""
    eighths = max(1, round(8 * room * rows / most))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _percentiles(sheet: _Sheet, report: TokenReport) -> None:
    sheet.title("Percentiles, nearest rank")
    names = [*(f"p{percent}" for percent in PERCENTS), "max", "mean"]
    rows = {"total": report.per_row.total, "supervised": report.per_row.supervised}
    for group, indent in ((",", "  "), ("", "")):  # thousands apart where there is room
        cells = {name: _values(row, group) for name, row in rows.items()}
        widths = [max(4, *map(len, column)) for column in zip(names, *cells.values(), strict=True)]
        lines = [f"{indent}{name:<10}" + _row(row, widths) for name, row in {"": names, **cells}.items()]
        if len(lines[0]) <= WIDTH:
            break
    sheet.line((lines[0], "dim"))
    for line in lines[1:]:
        sheet.line(line)


def _values(row: Percentiles, group: str) -> list[str]:
    return [format(getattr(row, f"p{percent}"), group) for percent in PERCENTS] + [
        format(row.max, group),
        format(round(row.mean), group),
    ]


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f" {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _limits(sheet: _Sheet, report: TokenReport) -> None:
    sheet.title("Limits: what is lost if longer rows are cut there, or dropped")
    heads = [
        ("", "", "tokens", "supervised", "answers", "supervised"),
        ("limit", "rows over", "if cut", "if cut", "if cut", "if dropped"),
    ]
    rows = [_limit(limit, report) for limit in report.limits]
    widths = [max(map(len, column)) for column in zip(*heads, *rows, strict=True)]
    for head in heads:
        sheet.line((f"  {'  '.join(f'{cell:>{width}}' for cell, width in zip(head, widths, strict=True))}", "dim"))
    for limit, row in zip(report.limits, rows, strict=True):
        here = limit.limit == report.context
        words = "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        sheet.line((f"{'▸' if here else ' '} {words}", "yellow" if here else ""))
    sheet.line(("▸ the context of the model; answers: rows that keep no supervised token", "dim"))


def _limit(limit: Limit, report: TokenReport) -> tuple[str, ...]:
    size = f"{limit.limit:,}" if limit.limit <= LIMITS[-1] else short(limit.limit)
    if not limit.rows_over:
        return (size, _pair(0, 1), "", "", "", "")
    return (
        size,
        _pair(limit.rows_over, report.rows),
        _pair(limit.tokens_lost, report.tokens),
        _pair(limit.supervised_lost, report.supervised),
        short(limit.answers_lost),
        _pair(limit.supervised_lost_if_dropped, report.supervised),
    )


def _pair(part: int, whole: int) -> str:
    return f"{short(part)} {_share(part, whole):>5}"


def short(number: int) -> str:
    """Return a number in at most seven characters: whole below a million, else three digits and M, G or T."""
    if number < 1_000_000:
        return f"{number:,}"
    unit, power = ("M", 1e6) if number < 999.5e6 else ("G", 1e9) if number < 999.5e9 else ("T", 1e12)
    shown = f"{number / power:#.3g}"
    return shown.removesuffix(".") + unit


def _share(part: int, whole: int) -> str:
    """Return a percentage that says 0% only for nothing and 100% only for everything."""
    if not part or not whole:
        return "0%"
    if part == whole:
        return "100%"
    percent = 100 * part / whole
    return "<0.1%" if percent < 0.05 else ">99.9%" if percent >= 99.95 else f"{percent:.1f}%"


def _longest(sheet: _Sheet, report: TokenReport) -> None:
    by_record = any(file.layout == "array" for file in report.files)  # else line and record are the same
    places = [row for row in report.longest if row.path != _STDIN]  # what came down a pipe is gone
    how = ", to look at with phi3data inspect " + ("--record FILE:ROW" if by_record else "FILE:LINE") if places else ""
    sheet.title(f"Longest rows{how}")
    wide = max(len(f"{row.tokens:,}") for row in report.longest)
    rest = max(len(f"{row.supervised:,}") for row in report.longest)
    for row in report.longest:
        place = f"{row.path}:{row.record if by_record else row.line}"
        sheet.line(f"  {row.tokens:>{wide},} tokens, {row.supervised:>{rest},} supervised  {place}")


def _packing(sheet: _Sheet, report: TokenReport) -> None:
    packed = next(limit.packed_sequences for limit in report.limits if limit.limit == report.context)
    longest = report.per_row.total.max
    how = f"to {longest:,}, the longest row" if longest <= report.context else f"or cut to {report.context:,}"
    sheet.title("Batches")
    sheet.line(f"  packed into {report.context:,}: about {_plural(packed, 'sequence')}")
    sheet.line(f"  padded {how}: {report.padding:.0%} of it is padding")


def _cost(sheet: _Sheet, report: TokenReport) -> None:
    cost = report.cost
    epochs = f"{_number(cost.epochs)} epoch{'' if cost.epochs == 1 else 's'}"
    sheet.title("Cost")
    start = f"  {report.tokens:,} tokens × {epochs}"
    if cost.cost is not None and cost.price_per_million is not None:
        sheet.line(f"{start} × {_number(cost.price_per_million)} / 1,000,000 = ", (_money(cost.cost), "bold"))
        sheet.line("  services bill all tokens of the training file, supervised or not")
    if cost.hours is not None and cost.tokens_per_second is not None:
        hours = f"{cost.hours:,.0f} hours" if cost.hours >= 100 else f"{cost.hours:.3g} hours"
        sheet.line(f"{start} / {_number(cost.tokens_per_second)} tokens per second / 3,600 = {hours}")
        if cost.cost_by_the_hour is not None and cost.price_per_hour is not None:
            sheet.line(f"  {hours} × {_number(cost.price_per_hour)} = ", (_money(cost.cost_by_the_hour), "bold"))
    if cost.cost is None and cost.hours is None:
        sheet.line(f"{start} = {cost.trained_tokens:,} trained tokens")
        sheet.line("  services bill all of them; --price, of a million, gives the cost")


def _money(amount: float) -> str:
    return "less than 0.01" if 0 < amount < 0.005 else f"{amount:,.2f}"


def _number(number: float) -> str:
    return f"{number:,.4f}".rstrip("0").rstrip(".")


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
