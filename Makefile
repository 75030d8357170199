# Everything runs in .venv, which is made when it is missing and renewed when the dependencies change.

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --no-input --constraint constraints.txt
STAMPS := $(VENV)/stamps
PORT ?= 8000
WORKERS ?= auto
BROWSERS ?= 2
ARGS ?=
DEMO_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test e2e screenshots clients bench faults lint format types clean

help: ## Say what can be made
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name what; do printf '  make %-11s %s\n' "$$name" "$$what"; done

demo: $(STAMPS)/run ## Fill a database with a demonstration, print the sign-ins and serve on PORT (8000)
	DJANGO_DEBUG=true $(PY) manage.py demo --port $(PORT) $(DEMO_ARGS)

test: $(STAMPS)/dev ## Run the tests; DATABASE_URL and CACHE_URL choose the databases, ARGS goes to pytest
	$(PY) -m pytest -n $(WORKERS) --maxprocesses 8 $(ARGS)

e2e: $(STAMPS)/e2e ## Run the tests that drive a browser (needs chromium)
	$(PY) -m pytest -m browser -n $(BROWSERS) --dist loadgroup $(ARGS) tests/browser

screenshots: $(STAMPS)/e2e ## Photograph every page into screenshots/; ARGS="flags flag" chooses, ARGS=--readme makes those of the README
	DJANGO_DEBUG=true $(PY) -m tests.browser.screenshots $(ARGS)

clients: $(STAMPS)/e2e $(STAMPS)/clients ## Run the tests with published OpenFeature clients (needs node 20, npm and chromium)
	$(PY) -m pytest -m clients $(ARGS) tests/clients

bench: $(STAMPS)/dev ## Measure, and say which bars hold; ARGS=--quick for a rough look, ARGS=--help for the rest
	$(PY) -m tests.benchmarks $(ARGS)

faults: $(STAMPS)/dev ## Run the tests that break servers of their own (needs PostgreSQL and Redis installed)
	$(PY) -m pytest -m faults $(ARGS) tests/faults

lint: $(STAMPS)/dev ## Check the style of code and templates
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/djlint --lint --quiet templates
	find templates -name '*.html' -exec $(VENV)/bin/djade --target-version 5.2 --check {} +

format: $(STAMPS)/dev ## Bring code and templates into that style
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	find templates -name '*.html' -exec $(VENV)/bin/djade --target-version 5.2 {} +

types: $(STAMPS)/dev ## Check the types
	DJANGO_DEBUG=true $(PY) -m mypy

clean: ## Remove what was made: .venv, caches, collected files and the local database
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage build staticfiles *.egg-info *.sqlite3* docs/examples/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp stands for a finished installation; an interrupted one leaves none behind and is simply repeated.
$(STAMPS)/run: EXTRAS := redis,pool,metrics,openfeature
$(STAMPS)/dev: EXTRAS := dev
$(STAMPS)/e2e: EXTRAS := dev,e2e
$(STAMPS)/run $(STAMPS)/dev $(STAMPS)/e2e: pyproject.toml constraints.txt | $(PY)
	@echo "Installing headgate[$(EXTRAS)] into $(VENV)"
	@$(PIP) --editable '.[$(EXTRAS)]'
	@mkdir -p $(STAMPS) && touch $@ $(if $(findstring dev,$(EXTRAS)),$(STAMPS)/dev)

$(STAMPS)/clients: docs/examples/package.json docs/examples/package-lock.json | $(PY)
	@echo "Installing published clients into docs/examples/node_modules"
	@cd docs/examples && npm ci --no-audit --no-fund --no-progress --loglevel=error --fetch-retries=5
	@mkdir -p $(STAMPS) && touch $@

$(PY):
	@set -e; python="$(PYTHON)"; \
	for candidate in python3 python3.13 python3.12 python3.11 python3.14; do \
		test -z "$$python" || break; \
		if "$$candidate" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python="$$candidate"; fi; \
	done; \
	if test -z "$$python"; then \
		echo 'No Python 3.11 or newer with venv was found. Install one (Debian: apt-get install python3-venv), or name it: make PYTHON=/path/to/python' >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv $(VENV) || { rm -rf $(VENV); echo "$$python cannot make a virtual environment. Debian: apt-get install python3-venv" >&2; exit 1; }
