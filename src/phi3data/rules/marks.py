"""Marks in skeletons that several kernels share.

At one place of a text the first counts, of all marks of all kernels: where two may match, each kernel that has the
later one has the earlier one before it, or has no use for what the earlier one matches.
"""

from __future__ import annotations

from phi3data.rules.screen import Mark
from phi3data.text.skeleton import DENSE_RUN, DIGIT_RUN

# What "<" begins, each with what the skeleton leaves of it. Each goes on with a plain character or a class, since sre
# looks at these before it tries an alternative: of "<<48/2=24>>", "<<00/0=00>>" in a skeleton, it sees no more.
PIPE = Mark("bones", "<", r"\|")
SYS = Mark("bones", "<", "</?SYS>>")
SHORT_TAG = Mark("bones", "<", ">")  # "<p>", "<pad>", "<your city>"
SHORT_TAG_E = Mark("bones", "<", "e>")  # "<table>", "<eos>", "<image>", "<your name>"
IMAGE_TAG = Mark("bones", "<", "e0{1,3}>")
IMAGE_WORD = Mark("bones", "<", "I(?:eHee|MGCONTEXT)>")
TAG = Mark("bones", "<", r"[/A-Ze\s\x01](?=[A-Z]?0?[A-Ze\s\x01]*(?:=[^<>]*)?/?>)")
TAG_H = Mark("bones", "<", r"0[>=A-Ze\s\x01](?:(?<=>)|(?=[^<>]*>))")  # "<h1>"
TAG_CLASS = Mark("bones", "<", "=(?=[^<>]*>)")  # '<p class="x">'
FIELD = Mark("bones", "<", r'[^<>\n=/"0](?=[^<>\n=/"]{0,52}>)')  # "<Enter: 5 words>"
TAGS = (SHORT_TAG, SHORT_TAG_E, IMAGE_TAG, IMAGE_WORD, TAG, TAG_H, TAG_CLASS)
ENTITY = Mark("bones", "&", "(?=[A-Z0e]*;|#)")
BRACE = Mark("bones", "{", r"(?=\{[A-Z0e]*\}\}|e*\})")  # "{{name}}" or "{name}"
# "[INST]", "[/AVAILABLE_TOOLS]", "[gMASK]", "[SYSTEM_PROMPT]", and others such as "[Your Name]"
TOKEN = Mark("bones", "[", r"(?=/?(?:INST|AVAILABLETOOLS|TOOLCALLS|TOOLRESULTS|MASK|SYSTEMPROMPT)\])")
BRACKET = Mark("bones", "[", r"(?=[A-Ze][^\[\]\n]{0,80}\]|\])")
QUOTES = Mark("bones", '"', r'(?="[^"\n]*"")')
BACKSLASH = Mark("bones", "\\")
CONTROL = Mark("bones", "\x01")
FENCE = Mark("bones", "`", "(?=``)")
LOREM = Mark("bones", "L", "(?=ee,)")
AT = Mark("bones", "@")
AI = Mark("bones", "I", "(?<=[AK]I)")  # in German KI
KEY = Mark("bones", "G", "(?<=BEG)(?=IN)")
# "Assistant:", "AI:", "Bot:", "GPT:" and "Assistent:" at the start of a line; "Instruction:" and "Response:".
REPLY = Mark("bones", ":", r"(?<=[AIBTe]:)(?:(?<=\nA:)|(?<=\nAI:)|(?<=\nB:)|(?<=GPT:)|(?<=\nAe:))")
HEADING = Mark("bones", ":", "(?<=[Ie]:)(?:(?<=[#0]I:)|(?<=[#0]Ree:))")
DIGITS = Mark("run", DIGIT_RUN)
DENSE = Mark("dense", DENSE_RUN)
SPACE_FIRST = tuple(Mark("first", space) for space in " \t\n\r\xa0\u3000")
LETTER_LAST = Mark("last", "a-zß-ÿ")
