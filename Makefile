# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# A file at a time on every core, the longest first (tests/support/order.py).
PYTEST = $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo docs test test-fast test-lowest test-newest lint mutate audit bench bench-peers soak clean

help:  ## Show what can be made.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# torch first and pinned: an open range would pull the CUDA build.
$(VENV)/.base: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) torch
	$(INSTALL) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	$(INSTALL) -e '.[test,lint]'
	@touch $@

$(VENV)/.docs: $(VENV)/.base
	$(INSTALL) -e '.[docs]'
	@touch $@

$(VENV)/.bench: $(VENV)/.base
	$(INSTALL) -e '.[bench]'
	@touch $@

demo: $(VENV)/.base  ## Fit MLTFR and its bare backbone on real data with real LLM token tables.
	$(BIN)/mltfr demo

test: $(VENV)/.dev  ## Run all tests that need no network, a file at a time on every core.
	$(PYTEST)

test-fast: $(VENV)/.dev  ## Run the tests that take a moment each: all but those marked slow.
	$(PYTEST) -m "not slow"

test-lowest:  ## Test the wheel with the lowest dependencies that it allows; needs a network.
	.ci/dependencies lowest $(ARGS)

test-newest:  ## Test the wheel with the newest dependencies; needs a network.
	.ci/dependencies newest $(ARGS)

lint: $(VENV)/.dev  ## Check style, types and the direction of imports.
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.docs  ## Build the documentation's site, and print where it is.
	$(BIN)/python docs/website.py $(ARGS)

mutate: $(VENV)/.dev  ## Make some two hundred known faults, and print those that no test notices.
	$(BIN)/python tests/mutations/mutate.py $(ARGS)

bench: $(VENV)/.bench  ## Measure speed and memory, and print a table.
	$(BIN)/python benchmarks/run.py $(ARGS)

soak: $(VENV)/.dev  ## Kill, starve, damage and lie to it by the hundred, and print what was found.
	$(BIN)/python benchmarks/soak.py $(ARGS)

bench-peers: $(VENV)/.bench  ## The same with RePlay, RecTools and RecBole, which are installed beside it.
	$(BIN)/python benchmarks/peers/install.py
	$(BIN)/python benchmarks/run.py --peers $(ARGS)

# Exit code 1: a package has a known vulnerability. 2: no network, or not every package could be looked up.
audit: $(VENV)/.base  ## Look the installed packages up in the database of known vulnerabilities; needs a network.
	@$(PYTHON) -m venv $(VENV)/audit && $(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit \
	  || { echo "audit: pip-audit cannot be installed: is there a network? Nothing was audited."; exit 2; }
	@PIPAPI_PYTHON_LOCATION=$(BIN)/python $(VENV)/audit/bin/pip-audit --skip-editable --progress-spinner off \
	  >$(VENV)/audit.txt 2>&1; code=$$?; cat $(VENV)/audit.txt; \
	  if grep -qi "found [0-9]* known vulnerabilit" $(VENV)/audit.txt; then exit 1; fi; \
	  if [ $$code != 0 ] || grep "could not be audited" $(VENV)/audit.txt | grep -qv "audited: mltfr "; then \
	    echo "audit: no network, or not every package could be looked up; see above."; exit 2; fi

clean:  ## Remove the environment and all caches.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
