# Two commands set everything up:  make demo  and  make test.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# An environment is reused only while what it was made from is unchanged: its stamp is named by that.
STAMP  := $(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)
# Installed first, and by its version, so that nothing else brings another one.
TORCH  := $(shell sed -n 's/^torch==//p' constraints.txt)
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint format bench clean sample-data screenshot

# The main job on messy sample data, offline: a report in out/demo/report.html.
demo: $(VENV)/data-$(STAMP)
	rm -rf out/demo
	HF_HUB_OFFLINE=1 $(BIN)/phi3data prepare $(addprefix sample_data/,agent_chats.jsonl faq.csv howto.alpaca.json support_chats.sharegpt.json) -o out/demo
	@echo
	@echo "Open out/demo/report.html in a browser."

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
