"""Make sample_data/: support chats of a made-up maker of coffee machines, messy in known places.

Four files in four formats and five languages, and key.json, which names every defect that was planted in them. The same
seed gives the same bytes. See sample_data/README.md.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

# Run by path, the script sees its own folder only; its phrases are the package scripts.sample_texts.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.sample_texts import agent_chats, support_chats, tables
from scripts.sample_texts.conversations import Desk
from scripts.sample_texts.records import Record, Row, key_entries, write_atomically

_DEFAULT_OUT = Path(__file__).resolve().parents[1] / "sample_data"


def make(out: Path, seed: int) -> None:
    """Write the four data files and key.json into `out`."""
    desk = Desk(random.Random(seed))
    chats = agent_chats.build(desk)
    plain = [record for record in chats if not record.defects and agent_chats.is_plain(record)]
    faq = tables.build_faq(desk, plain[-2:])
    questions = [record for record in faq if not record.defects and record.row["language"] in ("en", "de", "bg")]
    howto = tables.build_howto(desk, questions[:2])
    support = support_chats.build(desk, questions[2:4])

    # In the order of the file names, in which they are read: of two equal rows, the first one stays.
    contents = {
        "agent_chats.jsonl": agent_chats.render(chats, "agent_chats.jsonl"),
        "faq.csv": tables.render_csv(faq, "faq.csv"),
        "howto.alpaca.json": tables.render_array(howto, "howto.alpaca.json"),
        "support_chats.sharegpt.json": tables.render_array(support, "support_chats.sharegpt.json"),
    }
    contents["key.json"] = _key([*chats, *faq, *howto, *support])
    out.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomically(out / name, content)


def _key(records: list[Record]) -> bytes:
    """Return the key as a JSON array with one entry a line, so that a change of the data shows as changed lines."""
    entries: list[Row] = key_entries(records)
    return ("[\n" + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n]\n").encode()


def main() -> None:
    """Parse the options and write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=_DEFAULT_OUT, help="folder to write into (default: sample_data/)")
    parser.add_argument("--seed", type=int, default=7, help="seed of the draws (default: 7)")
    options = parser.parse_args()
    make(options.out, options.seed)


if __name__ == "__main__":
    main()
