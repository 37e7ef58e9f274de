"""The phrases of a language, read from its .toml, and how a template becomes text.

A template knows two marks: `[a|b|c]` is a choice (choices nest), `{name}` is a fact of the row. A choice is drawn anew
each time, a fact is drawn once a row, so that question and answer speak of the same machine, order and day.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

# The made-up company's machines and their order codes. Latin names need no declension in any of the five languages; the
# codes are what spreadsheets and loaders like to turn into numbers, dates and missing values.
MACHINES = {"Pico S": "007", "Tarn 2": "0421", "Fjell Pro": "NA", "Brae Duo": "1E5", "Skerry One": "03-12"}

# Labels, and how many of 100 rows carry them: the imbalance is the usual one of a support desk.
TOPIC_WEIGHTS = {
    "fault": 30,
    "cleaning": 19,
    "delivery": 17,
    "brewing": 13,
    "returns": 9,
    "billing": 6,
    "app": 4,
    "parts": 2,
}

# Topics about the machine itself take other small talk and follow-up questions than those about an order.
_MACHINE_TOPICS = frozenset({"fault", "cleaning", "brewing", "app"})

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_FACT = re.compile(r"\{(\w+)\}")

Facts = dict[str, str]


@dataclass(frozen=True)
class Case:
    """One thing that customers ask about: phrasings of the question, and the answer as reason, steps and note.

    `task` completes a sentence such as "Write instructions: how to ...".
    """

    topic: str
    task: str
    asks: list[str]
    why: str
    steps: list[str]
    note: str


@dataclass(frozen=True)
class Exchange:
    """A user turn and the answer to it."""

    user: str
    assistant: str


@dataclass(frozen=True)
class SmallTalk:
    """What surrounds the matter itself, for topics of one kind (machine or order)."""

    contexts: list[str]
    openers: list[str]
    closers: list[str]
    follow_ups: list[Exchange]


@dataclass(frozen=True)
class Language:
    """All material of one language.

    `gap` stands between sentences. `date` takes {day}, {month} (its name, where `months` has them) and {number} (1-12);
    `price` takes {whole} and {cents}. The three `tasks_*` are alpaca instructions: reply to a message, tell its topic,
    write the steps of {task}.
    """

    code: str
    gap: str
    date: str
    price: str
    months: list[str]
    greetings: list[str]
    sign_offs: list[str]
    systems: list[str]
    tasks_reply: list[str]
    tasks_topic: list[str]
    tasks_steps: list[str]
    topic_answer: str
    topic_names: dict[str, str]
    thanks: Exchange
    machine: SmallTalk
    order: SmallTalk
    cases: list[Case]

    def small_talk(self, topic: str) -> SmallTalk:
        """Return the small talk that goes with a topic."""
        return self.machine if topic in _MACHINE_TOPICS else self.order


def load_language(code: str) -> Language:
    """Read a language's .toml. A key that is missing or unknown raises TypeError."""
    raw: dict[str, Any] = tomllib.loads(Path(__file__).with_name(f"{code}.toml").read_text(encoding="utf-8"))
    for kind in ("machine", "order"):
        follow_ups = [Exchange(**exchange) for exchange in raw[kind].pop("follow_ups")]
        raw[kind] = SmallTalk(follow_ups=follow_ups, **raw[kind])
    raw["thanks"] = Exchange(**raw["thanks"])
    raw["cases"] = [Case(**case) for case in raw["cases"]]
    return Language(**raw)


def draw_facts(rng: random.Random, language: Language) -> Facts:
    """Draw the facts of one row. Ranges keep every count at 2 or more, so that plurals are always right."""
    day, month = rng.randint(1, 19), rng.randint(1, 12)
    return {
        "p": rng.choice(list(MACHINES)),
        "order": f"KM-{rng.randint(10000, 99999)}",
        "serial": f"{rng.choice('PTFBS')}{rng.randint(2, 9)}-{rng.randint(1000, 9999)}",
        "date": _date(language, day, month),
        "date1": _date(language, day + rng.randint(1, 2), month),
        "date2": _date(language, day + rng.randint(3, 9), month),
        "price": language.price.format(whole=rng.randint(6, 89), cents=rng.choice(("00", "50", "90", "95"))),
        "k": str(rng.randint(3, 5)),
        "n": str(rng.randint(2, 9)),
        "m": str(rng.randint(12, 45)),
        "c": str(rng.randint(64, 72)),
        "s": str(rng.randint(22, 32)),
        "h": str(rng.randint(14, 24)),
    }


def _date(language: Language, day: int, month: int) -> str:
    name = language.months[month - 1] if language.months else ""
    return language.date.format(day=day, month=name, number=month)


def say(rng: random.Random, template: str, facts: Facts) -> str:
    """Draw the template's choices and fill in the facts."""
    while match := _CHOICE.search(template):
        chosen = rng.choice(match[1].split("|"))
        template = template[: match.start()] + chosen + template[match.end() :]
    filled = _FACT.sub(lambda fact: facts[fact[1]], template)
    return filled.replace("  ", " ").strip()  # an empty choice leaves two spaces
