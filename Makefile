# Everything a newcomer needs: `make demo` and `make test`. `make help` lists the rest.
VENV := .venv
BIN  := $(VENV)/bin
# The newest supported Python that works; `make PYTHON=/path/to/python3.12 venv` overrides.
SUITABLE := -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
ifndef PYTHON
PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3; do $$p $(SUITABLE) && command -v $$p && break; done)
endif
STAMP := $(VENV)/.installed
SOURCES := pyproject.toml setup.py $(shell find firmware -name '*.[ch]' 2>/dev/null)

.PHONY: help venv demo test coverage check audit strangers kernel-test bench campaign wheel clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/'

venv: $(STAMP)  ## install into .venv

$(STAMP): $(SOURCES)
	@test -n "$(PYTHON)" && "$(PYTHON)" $(SUITABLE) || { \
	  echo "Boresight needs Python 3.11 or newer with its venv module (Debian: apt install python3-venv);" \
	  "found $$("$(or $(PYTHON),python3)" --version 2>&1 | head -n 1)."; exit 1; }
	@echo "Installing into $(VENV) with $(PYTHON) ($$($(PYTHON) --version))"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: venv  ## one pass of a real satellite on an emulated terminal
	@$(BIN)/boresight demo

QUICK := -m 'not stranger and not campaign and not kernel'
REALTIME := tests/e2e/realtime tests/controller/cli/test_bench_commands.py
PAIRED := $(QUICK) -n 3 --dist worksteal $(REALTIME:%=--ignore %)
test: venv  ## the tests, three at a time, as many wait for a wire; those of a station in real time alone, after them
	@$(BIN)/pytest $(PAIRED)
	@$(BIN)/pytest $(QUICK) $(REALTIME)

coverage: venv  ## the same with every line counted, which takes half as long again
	@$(BIN)/pytest $(PAIRED) --cov --cov-report= --cov-fail-under=0
	@$(BIN)/pytest $(QUICK) $(REALTIME) --cov --cov-append --cov-report=term:skip-covered

check: venv  ## lint, types, walls, generated files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

audit: venv  ## licences, versions, files and known weaknesses of what the product installs with
	@$(BIN)/python -c 'import pip_audit' 2>/dev/null || timeout 300 $(BIN)/python -m pip install --quiet \
	  --disable-pip-version-check 'pip-audit>=2.7' || echo "pip-audit could not be installed"
	@$(BIN)/python .ci/audit.py

STRANGERS := systemd libhamlib-utils indi-bin indi-eqmod usbip umockdev gir1.2-umockdev-1.0 gir1.2-aravis-0.8 python3-gi
strangers: venv  ## tests against other people's clients, two at a time, as they wait for theirs (installs Debian packages when it may)
	@missing=""; for p in $(STRANGERS); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  else echo "missing Debian packages:$$missing; install them and run make strangers again"; exit 1; fi; fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[strangers]'
	@# alpyca asks for a python-dateutil below the locked one, and only parses a date with it
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'alpyca>=3.1'
	@$(BIN)/pytest -m stranger -n 2 --dist worksteal tests/strangers

KERNEL_TEST := qemu-system-x86 busybox-static usbip usbutils udev kmod libusb-1.0-0 cpio
kernel-test: venv  ## a Debian kernel in QEMU meets the emulated devices (installs what it needs when it may)
	@missing=""; for p in $(KERNEL_TEST); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  else echo "missing Debian packages:$$missing; install them and run make kernel-test again"; exit 1; fi; fi
	@$(BIN)/pytest -m kernel tests/kernel

LONG := $(addprefix benchmarks/,campaign.py fuzz.py long_tests.py)
bench: venv  ## benchmarks, with ratios to what a user would pick instead
	@for b in bus bus.inside bus.load devices \
	  $(patsubst benchmarks/%.py,%,$(filter-out $(LONG),$(shell grep -l '__main__' benchmarks/*.py))); do \
	  echo "== benchmarks.$$b"; $(BIN)/python -m "benchmarks.$$b" || exit 1; done

campaign: venv  ## the runs that are too long for CI; the dated result is committed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[campaign]'
	@$(BIN)/python -m benchmarks.campaign
	@$(BIN)/python -m benchmarks.long_tests
	@$(BIN)/python -m benchmarks.fuzz --jobs 2
	@$(BIN)/python -m benchmarks.soak --lockstep --page
	@$(BIN)/python -m benchmarks.soak --realtime --page

wheel: venv  ## build source archive and wheel, install the wheel afresh, fly the demo's short arc from an empty folder
	@rm -rf build/wheel && mkdir -p build/wheel/empty
	@$(BIN)/python -m build --outdir build/wheel . >build/wheel/log 2>&1 || { tail -n 40 build/wheel/log; exit 1; }
	@$(BIN)/python -m venv build/wheel/env
	@build/wheel/env/bin/python -m pip install --quiet --disable-pip-version-check "$$(ls build/wheel/*.whl)[sim]"
	@cd build/wheel/empty && ../env/bin/boresight demo --arc 60 --json >../summary.json
	@echo "wheel: $$(ls build/wheel/*.whl) flew the demo from an empty folder"

clean:  ## remove what was built
	@rm -rf $(VENV) build dist *.egg-info
