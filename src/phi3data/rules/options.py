"""The thresholds of rules that a configuration can move: a struct a rule, a field an option."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class OverContext(_Options, frozen=True):
    """L701, and L702 with it."""

    limit: Annotated[int, Meta(ge=1, description="tokens that a row may have; else the model's context")] | None = None


class FewTrained(_Options, frozen=True):
    """L703."""

    share: Annotated[float, Meta(gt=0, le=0.5, description="share of the tokens that must be trained on")] = 0.01


class LengthOutlier(_Options, frozen=True):
    """L704."""

    times: Annotated[float, Meta(gt=1, description="times the median length from which a row is told of")] = 50


class InconsistentSystem(_Options, frozen=True):
    """R410."""

    characters: Annotated[int, Meta(ge=1, le=20, description="characters that may differ at most")] = 3


class NearDuplicate(_Options, frozen=True):
    """D803, and D805 for similar rows."""

    similarity: Annotated[float, Meta(ge=0.7, le=1, description="similarity of rows, by pieces of five words")] = 0.8


class Imbalance(_Options, frozen=True):
    """D806."""

    ratio: Annotated[float, Meta(gt=1, description="rows of the most frequent value for one of the rarest")] = 10


class SortedFile(_Options, frozen=True):
    """D807."""

    times: Annotated[float, Meta(gt=1, description="times fewer blocks of equal values than in shuffled rows")] = 5


class DominantPrompt(_Options, frozen=True):
    """D808."""

    share: Annotated[float, Meta(ge=0.01, le=1, description="share of the rows from which a prompt is told of")] = 0.1


class LengthBias(_Options, frozen=True):
    """X003."""

    share: Annotated[float, Meta(gt=0.5, le=1, description="share of pairs with the longer answer chosen")] = 0.8


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of all rules that have some, by code."""

    R410: InconsistentSystem = InconsistentSystem()
    L701: OverContext = OverContext()
    L703: FewTrained = FewTrained()
    L704: LengthOutlier = LengthOutlier()
    D803: NearDuplicate = NearDuplicate()
    D806: Imbalance = Imbalance()
    D807: SortedFile = SortedFile()
    D808: DominantPrompt = DominantPrompt()
    X003: LengthBias = LengthBias()


DEFAULTS = Thresholds()


def described(code: str) -> Iterator[tuple[str, Any, str]]:
    """Yield the options of a rule: name, default (None where there is no number), and what it means with its range."""
    options = getattr(DEFAULTS, code, None)
    if options is None:
        return
    hints = get_type_hints(type(options), include_extras=True)
    for field in msgspec.structs.fields(options):
        hint = hints[field.name]
        meta = next(part.__metadata__[0] for part in (hint, *get_args(hint)) if hasattr(part, "__metadata__"))
        yield field.name, field.default, f"{meta.description} ({_range(meta)})"


def _range(meta: Meta) -> str:
    low = f"over {meta.gt:g}" if meta.gt is not None else f"{meta.ge:g}"
    if meta.le is None:
        return low if meta.gt is not None else f"{low} or more"
    return f"{low} to {meta.le:g}"
