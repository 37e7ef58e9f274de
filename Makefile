# Two commands set everything up:  make demo  and  make test.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# An environment is reused only while what it was made from is unchanged: its stamp is named by that.
STAMP  := $(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)
# Installed first, and by its version, so that nothing else brings another one.
TORCH  := $(shell sed -n 's/^torch==//p' constraints.txt)
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo demo-train test lint format bench clean sample-data screenshot

# The main job on messy sample data, offline: a report in out/demo/report.html.
demo: $(VENV)/data-$(STAMP)
	rm -rf out/demo
	HF_HUB_OFFLINE=1 $(BIN)/phi3data prepare $(addprefix sample_data/,agent_chats.jsonl faq.csv howto.alpaca.json support_chats.sharegpt.json) -o out/demo
	@echo
	@echo "Open out/demo/report.html in a browser."

# Training, offline and without a GPU: a tiny Phi-3 learns sample_data/faq.csv in under three minutes of two cores.
demo-train: $(VENV)/all-$(STAMP)
	rm -rf out/demo-train
	$(BIN)/python scripts/make_tiny_model.py out/demo-train/model
	$(BIN)/phi3data prepare sample_data/faq.csv --tokenizer out/demo-train/model -o out/demo-train/data
	$(BIN)/phi3train init out/demo-train/train.toml --model out/demo-train/model --data out/demo-train/data $(addprefix --set ,$(DEMO))
	$(BIN)/phi3train run out/demo-train/train.toml
	$(BIN)/phi3train eval out/demo-train/run --max-tokens 160
	$(BIN)/phi3train sample out/demo-train/run
	@echo
	@echo "The run is in out/demo-train/run: open report.html there; metrics.jsonl and samples.jsonl are the numbers."
	@echo "The configuration, with a comment on every key, is out/demo-train/train.toml."

# A model of a million parameters that starts from noise learns at a higher rate than a real one.
DEMO := output=out/demo-train/run method.kind=full train.learning_rate=5e-3 train.batch_tokens=2048 train.epochs=4 \
	packing.length=512 samples.max_tokens=160

# Everything: the suite, the slow tests included.
test: $(VENV)/all-$(STAMP)
	scripts/install_test_tools
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: $(VENV)/all-$(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/all-$(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Ratios against peers, printed; needs the shared data folder beside the project.
bench: $(VENV)/all-$(STAMP)
	for script in estimate tokens rules decode prepare; do $(BIN)/python -m bench.$$script || exit 1; done

sample-data: $(VENV)/data-$(STAMP)
	$(BIN)/python scripts/make_sample_data.py

screenshot: demo
	scripts/install_test_tools
	scripts/screenshot out/demo/report.html docs/report.png

clean:
	rm -rf $(VENV) out build dist

$(VENV)/data-$(STAMP):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "phi3kit needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	rm -f $(VENV)/data-* $(VENV)/all-*
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[data]'
	@touch $@

$(VENV)/all-$(STAMP): $(VENV)/data-$(STAMP)
	$(PIP) torch==$(TORCH)
	$(PIP) -e '.[dev]'
	@touch $@
