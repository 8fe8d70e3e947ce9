# One command each. `make demo` needs Python 3.11+ and make; `make test` installs what else it needs.
#
#   make demo [PORT=8080]   sign in to a page that never holds a token
#   make test               everything that CI runs
#   make check              only the gates that take seconds
#   make conformance        which rows of the checklist the last `make test` has proven
#   make schema             config/bff.schema.json anew, from the models
#   make bench              figures, no verdict
#   make clean              as after the clone

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The environment's paths are written into its scripts: where the folder has moved, it is made anew.
HERE := $(CURDIR)

# What `make test` needs beside Python: the command, and Debian's package that brings it.
TOOLS := redis-server:redis-server chromium:chromium node:nodejs npm:npm
MISSING = $(foreach tool,$(TOOLS),$(if $(shell command -v $(firstword $(subst :, ,$(tool)))),,$(lastword $(subst :, ,$(tool)))))

NPM := npm install --no-save --no-package-lock --no-audit --no-fund --loglevel=error
NODE_MODULES := tests/interop/node_modules/.installed tests/spa/node_modules/.installed

.PHONY: demo test check conformance schema bench clean tools npm static coverage python moved
.DEFAULT_GOAL := demo

demo: $(VENV)/.installed
	@exec $(BIN)/bff dev $(if $(PORT),--port $(PORT))

test: static coverage

check: static

static: $(VENV)/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# After the static gates, so that two jobs do not mix their output and their two cores.
coverage: static tools $(VENV)/.tests $(NODE_MODULES)
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

conformance: $(VENV)/.tests
	$(BIN)/python -m tests.conformance

schema: $(VENV)/.tests
	$(BIN)/python -m bff.config.schema

bench: $(VENV)/.tests
	$(BIN)/python benchmarks/relay.py

npm: $(NODE_MODULES)

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* screenshots
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf tests/interop/node_modules tests/spa/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the parts

tools:
	@missing="$(strip $(MISSING))"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "make test needs, and does not find: $$missing" >&2; \
	  echo "Install them (Debian and Ubuntu: sudo apt-get install $$missing) and try again." >&2; \
	  exit 1; \
	fi; \
	echo "Installing $$missing"; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get -qq update && apt-get -qq -y --no-install-recommends install $$missing >/dev/null

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Say which: make PYTHON=python3.12 …" >&2; \
	  exit 1; }

$(VENV)/.made: | python
	@if [ "$$(cat $@ 2>/dev/null)" != "$(HERE)" ]; then \
	  rm -rf $(VENV); \
	  $(PYTHON) -m venv $(VENV) || { echo "No venv module: on Debian and Ubuntu install python3-venv." >&2; exit 1; }; \
	  echo "$(HERE)" > $@; \
	fi
