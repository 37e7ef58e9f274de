"""Rephrase questions by rule: other names, other words, clauses and sentences in another order, the numbers kept.

    python -m bench.make_rephrasings [IN.jsonl]        prints questions and what becomes of them

What comes out asks the same, as somebody would who means to get past a search for copies. It is for measuring such a
search; it is no good English everywhere.
"""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path

_TEXT = """
Orla baked 36 muffins in the morning and half as many in the afternoon. She sold each muffin for $2. How much money
did Orla make in total that day?

A delivery van drives 45 kilometers per hour for 3 hours and then 60 kilometers per hour for 2 hours. How many
kilometers does the van travel altogether?

If Pavel reads 24 pages every day and his book has 312 pages, how many days will it take him to finish the book?

Tessa has 5 boxes with 18 crayons each. Her brother takes 27 of the crayons. How many crayons does Tessa have left?

Quentin buys 4 notebooks for $3 each and 6 pens for $1.50 each. He pays with a $50 bill. How much change does he
get?

Mira walks 2 miles to school and 2 miles back home every weekday. How many miles does she walk in 6 weeks?

A tank holds 900 liters of water. Because of a small hole it loses 15 liters every hour. How many liters of water
remain in the tank after 2 days?

There are 128 students in a school. Three quarters of them take the bus and the rest walk. How many more students
take the bus than walk?

Bruno earns $14 an hour and works 38 hours a week. He spends $200 each week on rent and food. How much money can he
save in 4 weeks?

When Dagmar was 12 years old, her father was 3 times as old as she was. How old will her father be when Dagmar is 30
years old?

A farmer has 84 chickens, and each chicken lays 5 eggs a week. He sells the eggs in cartons of 12. How many cartons
can the farmer fill every week?

Ines wants to buy a bicycle that costs $420. She already has $96 and saves $27 every week. After how many weeks can
she buy the bicycle?

A baker uses 350 grams of flour for one loaf of bread. How many loaves can he bake with a sack that holds 14
kilograms of flour?

Rafael and Sunita collect stamps. Rafael has 215 stamps, and Sunita has 40 fewer stamps than twice as many. How many
stamps do the two of them have together?

The garden of Mrs. Okafor is 18 meters long and 11 meters wide. How many meters of fence does she need to go all
around the garden if the gate is 2 meters wide?

Which planet of the solar system has the shortest year, and how many days on Earth does that year last?

What happens to the volume of a gas if its pressure is doubled while the temperature is kept at 300 kelvin?

A ball is dropped from a height of 20 meters. How long does it take to hit the ground if the air does not slow it
down?

If a company sells a product for $80 and the cost to make it is $52, what percentage of the price is its profit?

A patient takes 250 milligrams of a medicine every 8 hours. How many grams of the medicine does the patient take in
10 days?
"""
#: Questions of the kind that benchmarks ask, made up for this project.
QUESTIONS = tuple(" ".join(question.split()) for question in _TEXT.split("\n\n"))
_NAMED = """
Agata Bilal Chinedu Daria Emeka Farida Goran Hilde Ivo Jorun Kavita Lior Marisol Nkechi Oksana Priya Rashid
Saoirse Tomasz Umberto Vesna Wanjiru Xiomara Yusuf Zofia
"""
_NAMES = _NAMED.split()
_SYNONYMS = {
    "bought": "purchased", "buys": "purchases", "buy": "purchase", "sells": "offers",
    "sell": "offer", "makes": "earns", "make": "earn", "made": "earned", "earns": "is paid", "gets": "receives",
    "get": "receive", "got": "received", "gave": "handed", "gives": "hands", "has": "owns", "had": "owned",
    "have": "own", "wants to": "would like to", "needs to": "must", "needs": "requires", "need": "require",
    "spends": "uses up", "spent": "used up", "saves": "puts aside", "save": "put aside", "uses": "consumes",
    "eats": "consumes", "ate": "consumed", "takes": "removes", "took": "removed", "found": "discovered",
    "collected": "gathered", "collects": "gathers", "started": "began", "starts": "begins", "finish": "complete",
    "walks": "goes on foot", "drives": "goes by car", "drove": "went by car", "travels": "moves", "went": "headed",
    "goes": "heads", "reads": "gets through", "works": "is at work", "lives": "resides", "kids": "children",
    "children": "kids", "friends": "buddies", "friend": "buddy", "brother": "sibling", "sister": "sibling",
    "mother": "mom", "mom": "mother", "father": "dad", "dad": "father", "house": "home", "store": "shop",
    "shop": "store", "car": "vehicle", "money": "cash", "price": "cost", "costs": "is priced at", "cost": "price",
    "every": "each", "each": "apiece", "altogether": "in total", "in total": "overall",
    "total": "overall", "left": "remaining", "remain": "are left", "rest": "remainder", "twice": "two times",
    "half": "50 percent", "more": "additional", "fewer": "less", "less": "fewer",
    "big": "large", "large": "big", "small": "little", "long": "lengthy", "first": "initial", "last": "previous",
    "next": "following", "then": "afterwards", "after": "following", "before": "prior to", "also": "in addition",
    "because": "since", "while": "as", "but": "however", "so": "therefore", "only": "just", "many": "numerous",
    "people": "persons", "students": "pupils", "boxes": "crates", "box": "crate",
    "bag": "sack", "bags": "sacks", "pays": "hands over", "paid": "handed over", "pay": "hand over",
    "there are": "one finds", "there were": "one found", "per": "for each",
    "and": "plus",
    "he": "this person", "she": "this person", "during": "in",
    "minutes": "min", "hours": "h", "dollars": "bucks", "kilometers": "km", "meters": "m",
}  # fmt: skip
_ASKS = (
    (r"^how many ([\w ]+?) (does|did|do|will|can|would|are|were|is) ", r"what number of \1 \2 "),
    (r"^how much money (does|did|do|will|can|would) ", r"what sum \1 "),
    (r"^how much (does|did|do|will|can|would|is|are) ", r"what amount \1 "),
    (r"^how much ", "what quantity of "),
    (r"^how long ", "what stretch of time "),
    (r"^what is ", "tell me "),
    (r"^what ", "name what "),
    (r"^which ", "say which "),
)
_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z])")
_WORDS = re.compile(r"\b(" + "|".join(sorted(map(re.escape, _SYNONYMS), key=len, reverse=True)) + r")\b")
# Months are capitalised too, and what is asked depends on them.
_MONTH = "(?!January|February|March|April|May|June|July|August|September|October|November|December)"
_NAME = re.compile(
    rf"(?<=[a-z,] ){_MONTH}[A-Z][a-z]{{2,}}\b|^[A-Z][a-z]{{2,}}(?= (?:has|had|is|was|and|buys|bought|wants|went))"
)


def rephrased(text: str, seed: int = 0) -> str:
    """Return the question in other words; the seed chooses the names, and one function word in three that stays."""
    rng = random.Random(f"{seed} {text}")
    for name in dict.fromkeys(_NAME.findall(text)):
        text = re.sub(rf"\b{name}\b", rng.choice(_NAMES), text)
    sentences = [_swapped(sentence) for sentence in _SENTENCE.split(text)]
    *told, asked = sentences
    asked = asked[0].lower() + asked[1:]
    for pattern, other in _ASKS:
        asked, changed = re.subn(pattern, other, asked)
        if changed:
            break
    if told:
        asked = f"Given the following, {asked}"
    return " ".join([_capital(_other_words(sentence, rng)) for sentence in [asked, *told]])


def _swapped(sentence: str) -> str:
    """Turn a sentence of two clauses round: what comes after "if" or "and" goes to the other end."""
    end = sentence[-1] if sentence[-1] in ".?!" else ""
    body = sentence.removesuffix(end)
    for pattern, other in (
        (r"^(If|When|Because) (.+?), (.+)$", r"\3, \1 \2"),
        (r"^(.+) (if|because|while) (.+)$", r"\2 \3, \1"),
        (r"^(.+?), and (.+)$", r"\2; besides, \1"),
    ):
        found = re.match(pattern, body)
        if found:
            return _capital(found.expand(other)) + end
    return sentence


def _other_words(text: str, rng: random.Random) -> str:
    def word(found: re.Match[str]) -> str:
        known = found[0]
        return known if len(known) < 4 and rng.random() < 1 / 3 else _SYNONYMS[known]

    return _WORDS.sub(word, text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


if __name__ == "__main__":
    given = QUESTIONS
    if len(sys.argv) > 1:
        lines = Path(sys.argv[1]).read_text("utf-8").splitlines()[:20]
        given = tuple(json.loads(line)["question"] for line in lines)
    for question in given:
        print(f"{question}\n    {rephrased(question)}\n")
