# Two commands are all that a newcomer needs: `make demo` and `make test`.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
SECONDS ?= 60
MINUTES ?= 30
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-all check deps bench fuzz soak clean

demo: $(VENV)/.demo            ## run the hub on http://127.0.0.1:3000
	$(VENV)/bin/wirehop serve

test: deps check               ## every check and every test
	scripts/run-tests $(VENV)

check: $(VENV)/.test           ## lint, format and types
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

test-all: deps                 ## the tests on every CPython that this machine has
	scripts/test-all

bench: deps $(VENV)/.bench     ## side by side with the npm peers and other servers
	$(VENV)/bin/python bench/run.py

fuzz: $(VENV)/.fuzz            ## look for input that breaks a codec: SECONDS (60) for each of ten targets
	$(VENV)/bin/python -m fuzz --seconds $(SECONDS)

soak: $(VENV)/.test            ## load and endurance, with kills: make soak MINUTES=30
	PYTHONPATH=bench $(VENV)/bin/python -m soak --minutes $(MINUTES) --write

deps: $(VENV)/.test            ## whatever the tests talk to: npm packages, Chromium
	scripts/install-peers

$(VENV)/.demo: pyproject.toml
	scripts/make-venv $(PYTHON) $(VENV) .
	touch $@

$(VENV)/.test: pyproject.toml
	scripts/make-venv $(PYTHON) $(VENV) '.[test]'
	touch $@ $(VENV)/.demo

$(VENV)/.bench: $(VENV)/.test
	scripts/make-venv $(PYTHON) $(VENV) '.[bench]'
	touch $@

$(VENV)/.fuzz: $(VENV)/.test
	scripts/make-venv $(PYTHON) $(VENV) '.[fuzz]'
	touch $@

clean:
	rm -rf .venv* .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf tests/interop/node/node_modules browser/node_modules bench/build fuzz/build
