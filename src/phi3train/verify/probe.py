"""Load a model and write down what it answers: run as a program, under whichever transformers is found first.

    python probe.py MODEL QUESTIONS OUT

QUESTIONS is JSON: rows of ids whose logits are wanted, prompts to answer, conversations to render, texts to encode.
OUT becomes JSON with versions, ids and renderings, and OUT.safetensors holds the logits. It imports nothing of this
project, so that it runs beside another version of every library but PyTorch.
"""

import json
import sys
from pathlib import Path
from typing import Any


def main(folder: str, questions: str, out: str) -> None:
    """Answer the questions."""
    import torch
    import transformers
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

    asked = json.loads(Path(questions).read_text("utf-8"))
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    head = "SequenceClassification" in json.loads((Path(folder) / "config.json").read_text("utf-8"))["architectures"][0]
    kind: Any = AutoModelForSequenceClassification if head else AutoModelForCausalLM
    model = kind.from_pretrained(folder, local_files_only=True, torch_dtype=torch.float32, attn_implementation="eager")
    model.eval()
    answers, logits = [], {}
    with torch.no_grad():
        for number, row in enumerate(asked["rows"]):
            logits[str(number)] = model(input_ids=torch.tensor([row])).logits[0].float().contiguous()
        for prompt in asked["prompts"]:
            ids = torch.tensor([prompt])
            if head:
                answers.append([int(model(input_ids=ids).logits[0].argmax())])
                continue
            made = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=asked["tokens"])
            answers.append(made[0, len(prompt) :].tolist())
    save_file(logits, f"{out}.safetensors")
    said = {
        "transformers": transformers.__version__,
        "answers": answers,
        "rendered": [tokenizer.apply_chat_template(messages, tokenize=False) for messages in asked["conversations"]],
        "ids": [tokenizer(text, add_special_tokens=False)["input_ids"] for text in asked["texts"]],
    }
    Path(out).write_text(json.dumps(said), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
