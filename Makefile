# Every target but setup and clean is one line of `python -m minigpt` or pytest; where make does not exist, run that line in the environment.
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

# an environment whose Python was removed or replaced is made anew
ifneq ($(shell $(BIN)/python -c "print(1)" 2>/dev/null),1)
.PHONY: $(STAMP)
endif

$(STAMP): pyproject.toml
	@$(PYTHON) -c "import sys; sys.version_info >= (3, 11) or sys.exit('minigpt needs Python 3.11 or newer; if you have one, name it: make PYTHON=python3.12')"
	$(PYTHON) -m venv --clear $(VENV)
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

# what `make` and `make full` made; runs of your own stay
clean:
	rm -rf runs/main runs/full
