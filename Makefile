# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One more than there are cores: tests of faults wait most of their time.
PROCESSES := $(shell expr $$(nproc 2>/dev/null || echo 2) + 1)
# What does not need one another, such as the checks and apt-get, goes side by side.
MAKEFLAGS += --jobs=2
# Some images set it, and each of the thousands of commands that the tests run would compile converge again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test quick coverage check browser docs bench fidelity faults clean

demo: $(VENV)/.demo
	$(BIN)/converge demo --report converge-report.html --report converge-report.md --report converge-report.json

test: check browser
	$(BIN)/pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

# The daily loop, in two minutes: style, types, and a few tests of each part. Name others: make quick TESTS=tests/test_load.py
TESTS ?= $(addprefix tests/test_,api.py codes.py help.py pure.py plan.py rejects.py resume.py reports.py views.py)
quick: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/mypy converge
	$(BIN)/pytest -n 2 --dist loadfile $(TESTS)

# All tests, with the lines of converge that they run: fails below the floor in pyproject.toml.
coverage: $(VENV)/.dev browser
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell

# Tests look at the reports in a real browser, connect by a real pool, and ask other shells than bash to complete;
# without them they are skipped, and say so.
browser:
	@if { command -v chromium && command -v chromedriver && command -v zsh && command -v fish \
	  && test -x /usr/sbin/pgbouncer; } >/dev/null; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then echo "no chromium, pgbouncer, zsh or fish, and no apt-get: their tests will be skipped"; exit 0; fi; \
	as=; test "$$(id -u)" = 0 || as="sudo -n"; \
	{ $$as apt-get update -qq && \
	  $$as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    chromium chromium-driver pgbouncer zsh fish; } >/dev/null \
	|| echo "apt-get could not install chromium, pgbouncer, zsh and fish: their tests will be skipped"

# The site in build/docs; a warning, a dead link or a page that nothing links fails it, as in tests/test_docs.py.
docs: $(VENV)/.dev
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet docs build/docs

bench: $(VENV)/.dev
	$(BIN)/python -m bench.run

# Millions of values copied without a false alarm, thousands of mutations found: docs/fidelity.md.
fidelity: $(VENV)/.dev
	$(BIN)/python -m bench.fidelity

# Every fault with twenty seeds and a thousand random kills, for hours: docs/faults.md.
faults: $(VENV)/.dev
	$(BIN)/python -m bench.faults

$(VENV)/.demo: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "converge needs Python 3.11 or newer; name it: make PYTHON=python3.12 demo"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "no venv module; install it: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --editable '.[sandbox]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV)
