"""Whether a text is source code, or holds some: what is a defect in prose is often meant in code."""

from __future__ import annotations

import re

from phi3data.text.lazy import Lazy

_WORDS = (
    "def|class|import|from|return|for|while|if|else|elif|try|except|with|async|await|public|private|protected|static|"
    "void|int|float|double|char|string|bool|const|let|var|function|func|fn|using|namespace|package|print|printf|echo|"
    "puts|export|module|struct|enum|interface|SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP"
)
_LINE = Lazy(
    rf"""^[ \t]*(?:
        (?:{_WORDS})\b[^\n]*[:;{{}}()\[\]=*]          # a statement, not a sentence that begins with "for"
      | \#include\b | <\?(?:php|xml|=) | <!DOCTYPE | </?[A-Za-z][\w-]*(?:\s[^<>\n]*)?> | //[ ] | /\* | \#!/
      | [^\n]*(?:[;{{}}]|\)[ ]?:|=>|\\)[ \t]*$
      | [\w.\[\]]+[ ]?[-+*/%]?=[ ]?[^=\n]+$           # an assignment
      | \$\w+ | @[\w.]+(?:\(|$)
      | [\w.]+\([^\n]*\)[;.]?$                        # a call
    )""",
    re.MULTILINE | re.VERBOSE,
)
# Hardly any prose has one of these.
_SIGNS = ("```", "=>", "==", "!=", "&&", "||", "::", "/>", "<?php", "println", "console.log(", "print(", "printf(")
_STRONG = Lazy(
    r"`[^`\n]+`|\b(?:len|range|require|import)\s?\(|\w\([^()\n]*\)\s*[;{]|</\w+>|\bfunction\s*\w*\(|\bdef \w+\(|"
    r"\bclass \w+[:({]|\blambda \w+:"
)
_LOOK = 4000  # characters from the start that are looked at: 0.3 ms


def is_code(text: str) -> bool:
    """Tell whether a text is code, or prose with code in it. Prose about code, without any, is none."""
    text = text[:_LOOK]
    if any(sign in text for sign in _SIGNS) or _STRONG.search(text):
        return True
    found = sum(1 for _ in _LINE.finditer(text))
    # One line in five: a paragraph with one line that ends in a brace is prose, a function with comments is code.
    return found >= 2 and 5 * found >= text.count("\n") + 1
