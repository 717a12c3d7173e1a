# Every target is one line of `python -m minigpt` or pytest; where make does not exist, run that line in the environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: all full setup test audit chat lessons bench gradcheck clean

all: $(STAMP)
	$(BIN)/python -m minigpt run

full: $(STAMP)
	$(BIN)/python -m minigpt run --world full --out runs/full

setup: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $(STAMP)

test: $(STAMP)
	$(BIN)/python -m pytest -m "not audit"

audit: $(STAMP)
	$(BIN)/python -m pytest -m audit

chat: $(STAMP)
	$(BIN)/python -m minigpt chat

lessons: $(STAMP)
	$(BIN)/python -m minigpt lesson check --all

bench: $(STAMP)
	$(BIN)/python -m minigpt bench

gradcheck: $(STAMP)
	$(BIN)/python -m minigpt gradcheck

clean:
	rm -rf runs
