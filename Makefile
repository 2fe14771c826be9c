# Everything a newcomer needs: `make demo` and `make test`. `make help` lists the rest.
VENV := .venv
BIN  := $(VENV)/bin
# The newest supported Python that is installed; `make PYTHON=/path/to/python3.12 venv` overrides.
PYTHON ?= $(shell for v in 3.13 3.12 3.11; do command -v python$$v && break; done 2>/dev/null)
ifeq ($(strip $(PYTHON)),)
PYTHON := $(shell command -v python3)
endif
STAMP := $(VENV)/.installed
SOURCES := pyproject.toml setup.py $(shell find firmware -name '*.[ch]' 2>/dev/null)

.PHONY: help venv demo test check strangers bench campaign wheel clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/'

venv: $(STAMP)  ## install into .venv

$(STAMP): $(SOURCES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Boresight needs Python 3.11 or newer; found: $(PYTHON) $$($(PYTHON) --version 2>&1)"; exit 1; }
	@echo "Using $(PYTHON) ($$($(PYTHON) --version))"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: venv  ## one pass of a real satellite on an emulated terminal
	@$(BIN)/boresight demo

test: venv  ## the tests
	@$(BIN)/pytest -m 'not stranger and not campaign' --cov --cov-report=term:skip-covered

check: venv  ## lint, types, walls, generated files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

STRANGERS := libhamlib-utils indi-bin usbip umockdev gir1.2-umockdev-1.0 gir1.2-aravis-0.8 python3-gi
strangers: venv  ## tests against other people's clients (installs their Debian packages when it may)
	@missing=""; for p in $(STRANGERS); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  else echo "missing Debian packages:$$missing; install them and run make strangers again"; exit 1; fi; fi
	@$(BIN)/pytest -m stranger tests/strangers

bench: venv  ## benchmarks, with ratios to what a user would pick instead
	@for b in benchmarks/[a-z]*.py; do echo "== $$b"; $(BIN)/python $$b || exit 1; done

campaign: venv  ## the runs that are too long for CI; the dated result is committed
	@$(BIN)/python -m benchmarks.campaign

wheel: venv  ## build the wheel and run the demo's short arc from an empty folder in a fresh environment
	@rm -rf build/wheel && mkdir -p build/wheel
	@$(BIN)/python -m build --wheel --outdir build/wheel . >/dev/null
	@$(PYTHON) -m venv build/wheel/env
	@build/wheel/env/bin/python -m pip install --quiet --disable-pip-version-check "$$(ls $(CURDIR)/build/wheel/*.whl)[sim]"
	@mkdir build/wheel/empty && cd build/wheel/empty && ../env/bin/boresight demo --arc 60 --json >summary.json && echo "wheel: demo ran from an empty folder"

clean:  ## remove what was built
	@rm -rf $(VENV) build dist *.egg-info
