# `make test` is all that a fresh clone needs. Everything is installed below this folder.

# The Python to use; the first good one if empty. Another Python gets an environment of its own.
PYTHON ?=
ifndef VENV
VENV := .venv$(if $(strip $(PYTHON)),-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'))
endif
# Test processes; races start more of their own.
JOBS ?= 2
# On a cluster they mostly wait, and 2 cores of one machine bear no more.
E2E_JOBS ?= 2
PYTEST_ARGS ?=
# `make lock UV_ARGS=--upgrade` takes newer versions.
UV_ARGS ?=
IMAGE ?= orion-k8s:$(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' orion_k8s/__init__.py)
# More for the tool that builds it, such as --platform linux/arm64
IMAGE_ARGS ?=
EXTRAS := test,dev,demo,dask,k8s,cmaes,optuna
LOWEST_EXTRAS := test,demo,dask,k8s,cmaes,optuna
IMAGE_EXTRAS := dask,k8s,cmaes

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

BIN := $(VENV)/bin
PIP := -m pip install --quiet --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest $(PYTEST_ARGS)
UV := .cache/lock/bin/uv
# Nothing may be fetched but packages: uv would download Pythons, too.
export UV_PYTHON_DOWNLOADS := never

# $(call find_python,CANDIDATES,TEST,SENTENCE): the first that runs and passes the test, as $$python.
define find_python
python=; \
for candidate in $(1); do \
    if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(not ($(2)))' 2>/dev/null; then \
        python=$$candidate; break; \
    fi; \
done; \
if [ -z "$$python" ]; then echo "$(3)" >&2; exit 1; fi
endef
PYTHONS = $(or $(strip $(PYTHON)),python3 python3.13 python3.12 python3.11 python3.10 python)
NO_PYTHON := No Python 3.10 or newer with its venv module was found: install one \
(Debian: apt-get install python3 python3-venv) or name it, as in make PYTHON=/path/to/python3.
PYTHON310 ?= python3.10 $(wildcard $(HOME)/.pyenv/versions/3.10*/bin/python)
NO_PYTHON310 := No Python 3.10 was found to test the lowest versions with: install one or name it, \
as in make test-lowest PYTHON310=/path/to/python3.10.

.PHONY: help venv demo test chart-test image e2e test-fast test-lowest lint types bench bench-k8s bench-quality chaos mutations lock clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

venv: $(VENV)/.installed ## make the environment $(VENV) from requirements/ci.txt

# The stamp is written last: a build that was interrupted is done again.
$(VENV)/.installed: pyproject.toml requirements/ci.txt
	@$(call find_python,$(PYTHONS),sys.version_info >= (3$(,) 10),$(NO_PYTHON)); \
	if ! $(BIN)/python -c '' 2>/dev/null; then \
	    echo "Making $(VENV) with $$("$$python" --version)"; "$$python" -m venv --clear $(VENV); \
	fi
	@$(BIN)/python $(PIP) -r requirements/ci.txt -e '.[$(EXTRAS)]' || \
	    { echo "If pyproject.toml asks for other versions than requirements/ci.txt: make lock" >&2; exit 1; }
	@touch $@

, := ,

# The chaos tests measure time and kill processes: they run after the others, one by one.
test: venv ## run the whole suite
	@status=0; \
	$(PYTEST) -n $(JOBS) --ignore=tests/chaos --ignore=tests/e2e || status=$$?; \
	if compgen -G 'tests/chaos/test_*.py' >/dev/null; then \
	    $(PYTEST) tests/chaos || status=$$?; \
	fi; \
	exit $$status

test-fast: venv ## run the unit tests, stop at the first failure
	@$(PYTEST) -n $(JOBS) -x -q tests/unit

chaos: venv ## run the chaos tests in large: 1,000 trials, 200 faults; CHAOS_SEED=N repeats them
	@CHAOS_SIZE=large $(PYTEST) tests/chaos

# One process a file: those that need Dask's operator stand in one, and share it. Tests that break
# nodes need a tool that does (tests/e2e/nodes.py), and the cluster for themselves.
e2e: venv ## run the tests on the cluster that KUBECONFIG names, as on kind; E2E=PATH for some of them
	@test -n "$$KUBECONFIG" || { echo "Set KUBECONFIG to the kubeconfig of a cluster to test on." >&2; exit 1; }
	@status=0; \
	run() { "$$@" $(or $(E2E),tests/e2e) || { code=$$?; [ $$code = 5 ] || status=$$code; }; }; \
	run $(PYTEST) -n $(E2E_JOBS) --dist loadfile -m 'not node'; \
	if [ -n "$${TEST_CLUSTER:-}" ]; then run $(PYTEST) -m node; fi; \
	exit $$status

bench: venv ## run the benchmarks (tests/benchmarks/bench_*.py) and print their numbers
	@$(BIN)/python $(PIP) -r requirements/ci.txt -e '.[$(EXTRAS)]'
	@$(PYTEST) -s -o python_files='bench_*.py' -o timeout=0 tests/benchmarks

bench-k8s: venv ## measure the chart's workers on the cluster that KUBECONFIG names
	@test -n "$$KUBECONFIG" || { echo "Set KUBECONFIG to the kubeconfig of a cluster to measure on." >&2; exit 1; }
	@$(PYTEST) -q -s -o python_files='bench_*.py' -o timeout=0 tests/e2e

bench-quality: venv ## compare what algorithms find with Optuna and random search (2 h)
	@$(BIN)/python $(PIP) -r requirements/ci.txt -e '.[$(EXTRAS),bench]'
	@$(BIN)/python -m tests.benchmarks.quality $(QUALITY_ARGS)
	@$(BIN)/python -m tests.benchmarks.quality.curves
	@$(BIN)/python -m tests.benchmarks.quality.stopping
	@$(BIN)/python -m tests.benchmarks.quality.bbob

mutations: venv ## take each rule of the protocol out of the code: the tests must notice (10 min)
	@$(BIN)/python tests/mutations/run.py

chart-test: venv ## test the chart and the manifests without a cluster, with both Helms
	@$(PYTEST) -n $(JOBS) tests/chart

image: ## build the image orion-k8s:VERSION with docker, podman or buildah; IMAGE=NAME:TAG names it
	@for tool in docker podman buildah; do \
	    if $$tool info >/dev/null 2>&1; then \
	        exec $$tool build -t "$(IMAGE)" $(IMAGE_ARGS) .; \
	    fi; \
	done; echo "An image is built by docker, podman or buildah: install one of them." >&2; exit 1

lint: venv ## check style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "Not formatted: run $(BIN)/ruff format" >&2; exit 1; }

types: venv ## check the types
	@$(BIN)/mypy

lock: $(UV) ## write requirements/*.txt anew from pyproject.toml
	@$(UV) pip compile --quiet pyproject.toml $(addprefix --extra ,$(subst $(,), ,$(EXTRAS))) \
	    --universal --python-version 3.10 --no-annotate --custom-compile-command 'make lock' \
	    $(strip $(UV_ARGS)) --output-file requirements/ci.txt
	@$(UV) pip compile --quiet pyproject.toml $(addprefix --extra ,$(subst $(,), ,$(LOWEST_EXTRAS))) \
	    --resolution lowest-direct --python-version 3.10 --no-annotate \
	    --custom-compile-command 'make lock' --upgrade --output-file requirements/lowest.txt
	@$(UV) pip compile --quiet pyproject.toml $(addprefix --extra ,$(subst $(,), ,$(IMAGE_EXTRAS))) \
	    --universal --python-version 3.13 --no-annotate --custom-compile-command 'make lock' \
	    --constraint requirements/ci.txt --upgrade --output-file requirements/image.txt

$(UV):
	@$(call find_python,$(PYTHONS),sys.version_info >= (3$(,) 10),$(NO_PYTHON)); \
	"$$python" -m venv --clear .cache/lock
	@.cache/lock/bin/python $(PIP) 'uv>=0.9'

# The lower bounds of pyproject.toml are a promise: this keeps it.
test-lowest: .venv-lowest/.installed ## run unit and contract tests on Python 3.10 with the lowest versions
	@.venv-lowest/bin/python -m pytest $(PYTEST_ARGS) -n $(JOBS) tests/unit tests/contract

.venv-lowest/.installed: pyproject.toml requirements/lowest.txt
	@$(call find_python,$(PYTHON310),sys.version_info[:2] == (3$(,) 10),$(NO_PYTHON310)); \
	"$$python" -m venv --clear .venv-lowest
	@.venv-lowest/bin/python $(PIP) -r requirements/lowest.txt -e '.[$(LOWEST_EXTRAS)]'
	@touch $@

demo: orion-demo/venv/.installed ## tune a real model by four workers in ./orion-demo, under a minute
	@PATH="$(CURDIR)/orion-demo/venv/bin:$$PATH" examples/demo/run.sh orion-demo

orion-demo/venv/.installed: pyproject.toml $(shell find orion_k8s -name '*.py')
	@$(call find_python,$(PYTHONS),sys.version_info >= (3$(,) 10),$(NO_PYTHON)); \
	echo "Installing orion-k8s and scikit-learn into orion-demo/venv"; \
	"$$python" -m venv --clear orion-demo/venv
	@orion-demo/venv/bin/python $(PIP) '.[demo]'
	@touch $@

clean: ## remove all that was made here
	rm -rf .venv .venv-* .cache orion-demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
