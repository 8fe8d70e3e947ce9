# One command each. `make demo` needs Python 3.11+ and make; `make test` brings what else it needs.
#
#   make demo [PORT=8080]   a page that never holds a token: sign in and look
#   make test               everything that CI runs
#   make check              only the gates that take seconds
#   make oldest             the door on the oldest uvicorn that pyproject.toml allows
#   make soak [MINUTES=30]  200 people over two workers, for half an hour: figures and a plot; then
#                           tests, thousands of times over: some ten minutes more
#   make conformance        which rows of the checklist the last `make test` has proven
#   make dist               wheel and sdist in dist/, built and checked
#   make lock [UPGRADE=1]   requirements.lock anew: what the container runs on, with hashes; and those
#                           for traces and for the build
#   make schema             config/bff.schema.json anew, from the models
#   make reference          the tables of docs/reference, and the full example, anew from the code
#   make bench              figures, no verdict: the relay; `make streams`: what connections, streams
#                           and long bodies cost in memory; `make sessions`: sessions in Redis;
#                           `make chaos [MINUTES=2]`: who is signed out when everything fails
#   make clean              as after the clone

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check --quiet install
NPM := npm install --no-save --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error
NODE_MODULES := tests/interop/node_modules/.installed tests/spa/node_modules/.installed

# What the tests need beside Python: a command, and Debian's package that brings it.
TOOLS := redis-server:redis-server chromium:chromium node:nodejs npm:npm nginx:nginx-light \
  firefox-esr:firefox-esr WebKitWebDriver:webkit2gtk-driver xvfb-run:xvfb xauth:xauth \
  promtool:prometheus systemd-analyze:systemd

.PHONY: demo test check oldest soak conformance dist lock schema reference bench streams sessions chaos clean tools npm
.DEFAULT_GOAL := demo
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	@exec $(RUN) -m bff dev $(if $(PORT),--port $(PORT))

# The gates come first, also under -j: they take seconds, and two jobs would mix their output.
test: check tools $(NODE_MODULES)
	rm -f .coverage .coverage.*
	$(RUN) -m tests
	$(RUN) -m tests.conformance
	$(RUN) -m coverage combine --quiet
	$(RUN) -m coverage report

check: $(VENV)/.test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports

# The other end of the range that pyproject.toml names.
OLDEST = $(shell sed -n 's/.*"uvicorn>=\([0-9.]*\),.*/\1/p' pyproject.toml)

oldest: tools
	$(PYTHON) -m venv build/oldest
	build/oldest/bin/python -m pip -q install --editable '.[test]' 'uvicorn==$(OLDEST)'
	build/oldest/bin/python -m pytest -q tests/wire/test_door.py tests/wire/test_lane.py \
	  tests/wire/test_smuggling.py tests/wire/test_lying_upstream.py \
	  tests/wire/test_relay_answer.py tests/wire/test_static.py tests/wire/test_serve.py

soak: tools $(VENV)/.test
	$(RUN) benchmarks/soak.py --minutes $(or $(MINUTES),30) --plot docs/soak.svg
	$(RUN) -m pytest -m soak tests/soak
	BFF_SOAK=1 $(RUN) -m pytest tests/model tests/wire/test_readings.py

conformance: $(VENV)/.test
	$(RUN) -m tests.conformance

dist: $(VENV)/.test
	rm -rf dist build/lib build/bdist.*
	$(RUN) -m build --no-isolation
	$(RUN) -m twine check --strict dist/*

# uv resolves for every platform and Python at once; pip would do so for this machine's alone. No
# address of a registry goes into the files: who installs says where from.
LOCK := UV_CUSTOM_COMPILE_COMMAND="make lock" build/uv/bin/uv pip compile --quiet --universal --generate-hashes --no-annotate \
  --no-emit-index-url --python-version 3.11 $(if $(UPGRADE),--upgrade)

lock: | $(VENV)/bin/python
	$(PYTHON) -m venv build/uv
	build/uv/bin/python -m pip --disable-pip-version-check --quiet install uv
	$(RUN) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
	  > build/uv/requires.in
	$(LOCK) pyproject.toml --output-file requirements.lock
	$(LOCK) pyproject.toml --extra otel --constraint requirements.lock --output-file requirements-otel.lock
	$(LOCK) build/uv/requires.in --output-file requirements-build.lock

schema: $(VENV)/.demo
	$(RUN) -m bff.config.schema > config/bff.schema.json.new
	mv config/bff.schema.json.new config/bff.schema.json

reference: $(VENV)/.demo
	$(RUN) -m bff.reference docs/reference/*.md
	cp bff/config/full.toml config/bff.full.toml

bench: $(VENV)/.test
	$(RUN) benchmarks/relay.py

streams: $(VENV)/.test
	$(RUN) benchmarks/streams.py

sessions: $(VENV)/.test
	$(RUN) benchmarks/sessions.py

chaos: $(VENV)/.test
	$(RUN) benchmarks/chaos.py $(or $(MINUTES),2) --run A
	$(RUN) benchmarks/chaos.py $(or $(MINUTES),2) --run B

npm: $(NODE_MODULES)

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* screenshots
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf tests/interop/node_modules tests/spa/node_modules example-spa/types
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what the commands stand on; each stamp says that it is there and newer than what it is made of

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or later is needed. Name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) has no venv module (Debian and Ubuntu: apt-get install python3-venv)." >&2; exit 1; }

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	$(PIP) --editable '.[test]'
	@touch $@

tools:
	@missing=; PATH="$$PATH:/usr/sbin"; \
	for tool in $(TOOLS); do \
	  command -v "$${tool%%:*}" >/dev/null || missing="$$missing $${tool##*:}"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "The tests need what is not here:$$missing" >&2; \
	  echo "Install it (Debian and Ubuntu: sudo apt-get install$$missing) and try again." >&2; \
	  exit 1; \
	fi; \
	echo "Installing$$missing"; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get -qq update </dev/null && \
	apt-get -qq -y --no-install-recommends install $$missing </dev/null >/dev/null

tests/%/node_modules/.installed: tests/%/package.json | tools
	cd tests/$* && $(NPM)
	@touch $@
