# `make demo` and `make test` set everything up by themselves: a virtual environment in .venv and the locked packages.
# Another interpreter: make test PY=/path/to/python3.12 VENV=.venv-312

VENV ?= .venv
JOBS ?= 2
OUT ?= demo
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip install --disable-pip-version-check
READY := $(VENV)/.ready
UV := .venv-lock/bin/uv

# The first of these that is a tested version and can make virtual environments; PY names another.
ifndef PY
PY := $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
  $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
endif

.PHONY: demo test check format lock clean setup

demo: $(READY)  ## the bundled stack of four counties, end to end
	@$(VENV)/bin/gep demo --out $(OUT)

test: $(READY)  ## the whole test suite
	@$(PYTHON) -m pytest -n $(JOBS) --dist loadfile $(LESS)

check: $(READY)  ## style, types, and who may import whom
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy --strict gep cli.py tests
	@$(VENV)/bin/lint-imports

format: $(READY)
	@$(VENV)/bin/ruff check --fix
	@$(VENV)/bin/ruff format

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@test -n "$(PY)" || { echo "Needed: Python 3.11, 3.12 or 3.13 with venv and pip (on Debian: apt-get install python3-venv)." >&2; \
	  echo "If it lies elsewhere: make PY=/path/to/python3.12" >&2; exit 1; }
	@echo "Setting up $(VENV) with $(PY): $$(grep -c '==' requirements.lock) locked packages, a minute or two, once." >&2
	@rm -rf $(VENV)
	@$(PY) -m venv $(VENV)
	@{ $(PIP) --no-deps --require-hashes --only-binary :all: -r requirements.lock 2>$(VENV)/pip.log && touch $(VENV)/.locked; } \
	  | awk '/^(Collecting|Processing) / { printf "."; fflush() } /^Installing/ { printf " unpacking "; fflush() } END { print "" }' >&2
	@test -f $(VENV)/.locked || { cat $(VENV)/pip.log >&2; exit 1; }
	@$(PIP) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Locks every dependency for 3.11 to 3.13, with hashes; `make lock UPGRADE=--upgrade` takes newer versions.
lock: $(UV)
	@$(UV) pip compile pyproject.toml --extra cluster --group dev --universal --python-version 3.11 --generate-hashes --no-build \
	  --no-annotate --custom-compile-command "make lock" --quiet $(UPGRADE) --output-file requirements.lock
	@! grep -nE '://|^-|@|/' requirements.lock

$(UV):
	@$(PY) -m venv .venv-lock
	@.venv-lock/bin/python -m pip install --quiet --only-binary :all: uv==0.13.9

clean:
	rm -rf .venv .venv-* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build out demo
