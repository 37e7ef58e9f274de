"""report.html: the profile as one self-contained page, for people.

No scripts, no network: the page carries a policy that forbids both, and everything that comes from the data is escaped.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

from phi3data.report.html import view
from phi3data.report.html.visible import mark, mark_diff, plain

if TYPE_CHECKING:
    from phi3data.report.profile import Profile

_VERDICTS = {"ready": "Ready", "look": "Take a look", "unusable": "Unusable"}


def _finalize(value: object) -> object:
    """Make unseen characters visible in every text that the template prints, paths and names included."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def environment(folder: Path, *, keep_trailing_newline: bool = False) -> jinja2.Environment:
    """Return what renders the pages in a folder: everything is escaped, and what cannot be seen is shown."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=keep_trailing_newline,
    )
    made.filters["mark"] = lambda text: mark(text, changed=False)
    return made


@cache
def _template() -> tuple[jinja2.Template, Markup]:
    """Return the compiled template and the styles, read once."""
    folder = Path(__file__).parent
    made = environment(folder)
    made.filters |= {
        "num": "{:,}".format,
        "size": view.size,
        "share": view.share,
        "percent": view.percent,
        "diff": mark_diff,
    }
    styles = (folder / "report.css").read_text(encoding="utf-8")
    return made.get_template("report.html.j2"), Markup(styles)  # noqa: S704 - our own file


def render(profile: Profile) -> str:
    """Return the report as one HTML page. The same profile gives the same text."""
    template, styles = _template()
    return template.render(
        profile=profile,
        styles=styles,
        verdict=_VERDICTS[profile.verdict],
        waterfall=view.waterfall(profile),
        changes=view.changes(profile),
        roles=view.bars(profile.roles.items()),
        turns=view.turns(profile),
        labels=view.labels(profile),
        groups=view.groups(profile),
        splits=view.bars(profile.outputs.items()),
        chart=view.token_chart(profile.tokens),
        dropped=view.example_groups(profile, "dropped"),
        changed=view.example_groups(profile, "changed"),
        kept=[example for example in profile.examples if example.action == "kept"],
    )
