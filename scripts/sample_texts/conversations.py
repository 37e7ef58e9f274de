"""Clean conversations: fluent, varied, none the copy of another.

The guard compares each new conversation with the earlier ones about the same case. Without it, templates would give
prompts that occur twice with different answers, and near-duplicates by the hundred.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scripts.sample_texts.material import TOPIC_WEIGHTS, Case, Facts, Language, draw_facts, load_language, say

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

# Of 100 rows, how many are in which language.
LANGUAGE_WEIGHTS = {"en": 38, "de": 20, "zh": 17, "ja": 13, "bg": 12}

# Highest Jaccard similarity of two clean rows, over 3-grams of words or 4-grams of characters. Deduplicators commonly
# call two texts near-duplicates from 0.7 or 0.8 on; the sample keeps clear of that.
MAX_SIMILARITY = 0.6


@dataclass
class Conversation:
    """A conversation before it takes the shape of a file format. `prompt` + `context` are alpaca's two prompt parts."""

    language: str
    topic: str
    machine: str
    turns: list[tuple[str, str]]
    prompt: str = ""
    context: str = ""
    system: str | None = None
    facts: Facts = field(default_factory=dict)

    @property
    def question(self) -> str:
        """The first user turn."""
        return self.turns[0][1]

    @property
    def answer(self) -> str:
        """The last turn."""
        return self.turns[-1][1]


@dataclass
class Scene:
    """What one row is about; says its parts."""

    rng: random.Random
    language: Language
    case: Case
    facts: Facts

    def say(self, template: str) -> str:
        """Fill in one template."""
        return say(self.rng, template, self.facts)

    def one_of(self, templates: list[str]) -> str:
        """Choose a template and fill it in."""
        return self.say(self.rng.choice(templates))

    def chance(self, probability: float) -> bool:
        """Return True with that probability (0-1)."""
        return self.rng.random() < probability

    def message(self) -> str:
        """Return a customer's message: the question with greeting, circumstances and sign-off around it."""
        talk, gap = self.language.small_talk(self.case.topic), self.language.gap
        contexts = self.rng.sample(talk.contexts, self.rng.choice((1, 1, 2)))
        text = gap.join([self.one_of(self.case.asks), *(self.say(context) for context in contexts)])
        line = "\n" if gap else ""
        if self.chance(0.5):
            text = f"{self.one_of(self.language.greetings)}{line}{text}"
        if self.chance(0.4):
            text = f"{text}{line}{self.one_of(self.language.sign_offs)}"
        return text

    def steps(self, *, numbered: bool) -> str:
        """Return the case's steps as a numbered list or as a paragraph."""
        said = [self.say(step) for step in self.case.steps]
        if numbered:
            return "\n".join(f"{number}. {step}" for number, step in enumerate(said, 1))
        return self.language.gap.join(said)

    def solution(self) -> str:
        """Return reason, steps and mostly a note: the answer proper."""
        numbered = self.chance(0.4)
        parts = [self.say(self.case.why), self.steps(numbered=numbered)]
        if self.chance(0.75):
            parts.append(self.say(self.case.note))
        return ("\n" if numbered else self.language.gap).join(parts)

    def reply(self) -> str:
        """Return an answer as a support person writes it, mostly with an opening and a closing sentence."""
        talk, gap = self.language.small_talk(self.case.topic), self.language.gap
        text = self.solution()
        line = "\n" if "\n" in text else gap
        if self.chance(0.7):
            text = f"{self.one_of(talk.openers)}{gap}{text}"
        if self.chance(0.7):
            text = f"{text}{line}{self.one_of(talk.closers)}"
        return text

    def conversation(self, turns: list[tuple[str, str]], prompt: str = "", context: str = "") -> Conversation:
        """Wrap turns of this scene."""
        return Conversation(
            self.language.code, self.case.topic, self.facts["p"], turns, prompt, context, facts=self.facts
        )


def faq(scene: Scene) -> Conversation:
    """A question without small talk, and its answer."""
    return scene.conversation([("user", scene.one_of(scene.case.asks)), ("assistant", scene.solution())])


def chat(scene: Scene) -> Conversation:
    """A chat of one to three exchanges, with a system prompt in three of five."""
    turns = [("user", scene.message()), ("assistant", scene.reply())]
    follow_ups = scene.language.small_talk(scene.case.topic).follow_ups
    # The first follow-up ("it did not help") ends the matter, so it comes last, and nobody says thanks after it.
    chosen = sorted(scene.rng.sample(range(len(follow_ups)), scene.rng.choice((0, 0, 0, 1, 1, 2))), reverse=True)
    for exchange in (follow_ups[at] for at in chosen):
        turns += [("user", scene.say(exchange.user)), ("assistant", scene.say(exchange.assistant))]
    if len(turns) < 6 and 0 not in chosen and scene.chance(0.25):
        thanks = scene.language.thanks
        turns += [("user", scene.say(thanks.user)), ("assistant", scene.say(thanks.assistant))]
    made = scene.conversation(turns)
    made.system = scene.rng.choice(scene.language.systems) if scene.chance(0.6) else None
    return made


def single_chat(scene: Scene) -> Conversation:
    """One exchange without a system prompt: the plainest row, to be damaged."""
    return scene.conversation([("user", scene.message()), ("assistant", scene.reply())])


def reply_task(scene: Scene) -> Conversation:
    """An alpaca task: reply to a customer's message."""
    prompt, context = scene.one_of(scene.language.tasks_reply), scene.message()
    return scene.conversation([("user", f"{prompt}\n\n{context}"), ("assistant", scene.reply())], prompt, context)


def howto(scene: Scene) -> Conversation:
    """An alpaca task: reply to a message, write steps, answer a question, or name the topic of a message."""
    language, kind = scene.language, scene.rng.random()
    if kind < 0.5:
        return reply_task(scene)
    if kind < 0.75:
        task = scene.say(scene.case.task)
        prompt = say(scene.rng, scene.rng.choice(language.tasks_steps), {**scene.facts, "task": task})
        context, answer = "", scene.steps(numbered=True)
    elif kind < 0.92:
        prompt, context, answer = scene.one_of(scene.case.asks), "", scene.solution()
    else:
        scene.facts["topic"] = language.topic_names[scene.case.topic]
        prompt, context, answer = scene.one_of(language.tasks_topic), scene.message(), scene.say(language.topic_answer)
    question = f"{prompt}\n\n{context}" if context else prompt
    return scene.conversation([("user", question), ("assistant", answer)], prompt, context)


def normalise(text: str) -> str:
    """Return the text without case and with single spaces: what counts as the same text."""
    return " ".join(text.casefold().split())


def shingles(text: str, *, spaced: bool) -> frozenset[str]:
    """Return 3-grams of words, or 4-grams of characters for languages written without spaces."""
    units = normalise(text).split() if spaced else list(normalise(text))
    width = 3 if spaced else 4
    glue = " " if spaced else ""
    return frozenset(glue.join(units[at : at + width]) for at in range(max(1, len(units) - width + 1)))


def _invents(made: Conversation, facts: Facts) -> bool:
    """Tell whether an answer names an order or a serial number that nobody mentioned."""
    asked = " ".join(content for role, content in made.turns if role == "user")
    answered = " ".join(content for role, content in made.turns if role == "assistant")
    known = ("order", "serial") if made.context or made.prompt != made.question else ("order", "serial", "date2")
    return any(facts[name] in answered and facts[name] not in asked for name in known)


class Desk:
    """Draws clean conversations and remembers them, so that no two are alike."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.languages = {code: load_language(code) for code in LANGUAGE_WEIGHTS}
        self._prompts: set[str] = set()
        self._seen: dict[tuple[str, str], list[frozenset[str]]] = {}

    def draw(self, make: Callable[[Scene], Conversation], language: str | None = None) -> Conversation:
        """Draw until the result is unlike all before; after 500 trials the language is exhausted: RuntimeError."""
        code = language or self.rng.choices(list(LANGUAGE_WEIGHTS), list(LANGUAGE_WEIGHTS.values()))[0]
        for _ in range(500):
            scene = self._scene(self.languages[code])
            made = make(scene)
            if self._is_new(made, scene):
                return made
        raise RuntimeError(f"no further unlike conversation in '{code}': add phrases to {code}.toml")

    def phrase(self, language: str) -> str:
        """Return a question that need not be new."""
        scene = self._scene(self.languages[language])
        return scene.one_of(scene.case.asks)

    def _scene(self, language: Language) -> Scene:
        topic = self.rng.choices(list(TOPIC_WEIGHTS), list(TOPIC_WEIGHTS.values()))[0]
        case = self.rng.choice([case for case in language.cases if case.topic == topic])
        return Scene(self.rng, language, case, draw_facts(self.rng, language))

    def _is_new(self, made: Conversation, scene: Scene) -> bool:
        prompt = normalise(made.question)
        if prompt in self._prompts or _invents(made, scene.facts):
            return False
        text = " ".join(content for _, content in made.turns)
        grams = shingles(text, spaced=bool(scene.language.gap))
        rivals = self._seen.setdefault((scene.language.code, scene.case.task), [])
        if any(len(grams & rival) > MAX_SIMILARITY * len(grams | rival) for rival in rivals):
            return False
        self._prompts.add(prompt)
        rivals.append(grams)
        return True
