# Everything a person does with a checkout. `make` lists the targets.
#
#   make test PYTHON=python3.12     another interpreter
#   make test VENV=venv             another virtual environment
#   make test PYTEST="-k sites -x"  more for pytest

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
PYTEST ?=
DEMO ?= codeclens-demo
BIN := $(VENV)/bin

# What `make cluster` runs: several processes, machines and object storage, as far as one can here.
CLUSTER := tests/extraction/test_ray.py tests/cli/test_launchers.py

# One thread a process: the tests run side by side, and tiny tensors gain nothing from more.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test slow cluster lint format types api docs wheels frontend browser \
  bench mutants clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed-demo  ## install, then show the main job on real images (report in codeclens-demo/)
	$(BIN)/codeclens demo --to $(DEMO)

test: $(VENV)/.installed-test  ## install what the tests need, then run them
	$(ONE_THREAD) $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal $(PYTEST)

slow: $(VENV)/.installed-test  ## the heavy checks that `make test` leaves out
	$(BIN)/python -m pytest -m slow $(PYTEST)

cluster: $(VENV)/.installed-cluster  ## Ray, object storage and torchrun: their packages (another 100 MB) and tests
	$(ONE_THREAD) $(BIN)/python -m pytest -q -m slow $(CLUSTER)

lint: $(VENV)/.installed-dev  ## ruff: rules and format, nothing is changed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed-dev  ## mend what can be mended: rules, format, the list of files in the docs
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python docs/contents.py

types: $(VENV)/.installed-dev  ## mypy, strict
	$(BIN)/mypy

api: $(VENV)/.installed-test  ## record the public names and signatures, after a change that is meant
	$(BIN)/python tests/public_api.py

wheels: $(VENV)/.installed-dev  ## build wheel and sdist into dist/, and try both in clean environments
	rm -rf dist
	$(BIN)/python -m hatchling build -d dist
	.ci/wheels dist $(PYTHON)

# Not npm ci, which fails where an optional package for another system cannot be had; the versions of
# the lock file are installed all the same.
frontend:  ## build the explorer's front end again (needs Node), check and test it, compare with what ships
	cd frontend && npm install --no-fund --no-audit && npm run check && npm test && npm run build
	@git diff --exit-code --stat -- src/codeclens/pages/static || { \
	  echo "explorer.js is not what frontend/ gives: run make frontend and commit the result" >&2; \
	  exit 1; }

browser: $(VENV)/.installed-test  ## the tests that drive a browser (needs chromium)
	$(ONE_THREAD) $(BIN)/python -m pytest -q -k browser tests $(PYTEST)

docs: $(VENV)/.installed-docs  ## build the site into docs/_build: run the tutorials, check every link
	$(ONE_THREAD) $(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build
	$(BIN)/python docs/links.py docs/_build

bench: $(VENV)/.installed-test  ## half an hour of measurements against the floor and the peers (codeclens-bench/)
	$(ONE_THREAD) $(BIN)/python -m benchmarks.bench --to codeclens-bench

mutants: $(VENV)/.installed-mutants  ## do the tests notice changed mathematics? hours; 50 of each subject by default
	$(BIN)/python -m benchmarks.mutations --sample 50 --to mutations.json

clean:  ## remove what the other targets made, the virtual environment too
	rm -rf .venv .venv-ci $(DEMO) codeclens-bench docs/_build docs/reference docs/jupyter_execute dist build
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed once per extra, again when the metadata or the pins change. The constraints belong to
# every install: without them the resolver takes a build of torch that brings gigabytes of CUDA.
# uv is faster where there is one; it reads other variables than pip, so the wheel folders that
# the user set for pip (separated by blanks) are passed on (separated by commas).
$(VENV)/.installed-%: pyproject.toml constraints/dev.txt | $(BIN)/python
	@set -e; \
	if command -v uv > /dev/null; then \
	  if [ -n "$$PIP_FIND_LINKS" ]; then \
	    UV_FIND_LINKS=$$(echo $$PIP_FIND_LINKS | tr ' ' ','); export UV_FIND_LINKS; \
	  fi; \
	  set -- uv pip install --python $(BIN)/python --compile-bytecode; \
	else \
	  set -- $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --quiet; \
	fi; \
	echo "installing codeclens[$*] into $(VENV) …"; \
	"$$@" -c constraints/dev.txt -e '.[$*]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "codeclens needs Python 3.11 or newer, and $(PYTHON) is not: make … PYTHON=python3.11" >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)
