"""Marks in skeletons that several kernels share. No two of them begin with one character at one place."""

from __future__ import annotations

from phi3data.rules.screen import Mark
from phi3data.text.skeleton import DENSE_RUN, DIGIT_RUN

TAG = Mark("bones", "<", "(?=0>|[^<0=])")  # "<p>" is "<>", "<h1>" "<0>"; not "<<48/2=24>>", which is "<<00/0=00>>"
ENTITY = Mark("bones", "&", "(?=[A-Z0e]*;|#)")
BRACE = Mark("bones", "{", r"(?=\{|e*\})")  # "{{" or "{name}"
BRACKET = Mark("bones", "[", r"(?=[A-Ze/]|\])")
QUOTES = Mark("bones", '"', r'(?="[^"\n]*"")')
BACKSLASH = Mark("bones", "\\")
CONTROL = Mark("bones", "\x01")
FENCE = Mark("bones", "`", "(?=``)")
LOREM = Mark("bones", "L", "(?=ee,)")
AT = Mark("bones", "@")
AI = Mark("bones", "I", "(?<=[AK]I)")  # in German KI
KEY = Mark("bones", "G", "(?<=BEG)(?=IN)")
# "Assistant:", "AI:", "Bot:", "GPT:" and "Assistent:" at the start of a line; "Instruction:" and "Response:".
REPLY = Mark("bones", ":", r"(?:(?<=\nA:)|(?<=\nAI:)|(?<=\nB:)|(?<=GPT:)|(?<=\nAe:))")
HEADING = Mark("bones", ":", "(?:(?<=[#0]I:)|(?<=[#0]Ree:))")
DIGITS = Mark("run", DIGIT_RUN)
DENSE = Mark("dense", DENSE_RUN)
SPACE_FIRST = tuple(Mark("first", space) for space in " \t\n\r\xa0\u3000")
LETTER_LAST = Mark("last", "a-zß-ÿ")
