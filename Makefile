# Every verb does its own set-up: it needs Python 3.11+, make and a package index, nothing else; the tests alone need
# Prometheus, too, which is taken from the PATH or fetched by apt-get.
#
#   PYTHON=python3.12   the interpreter that the environments are made from
#   DEVICE=cpu|gpu      the inference engine; without it, gpu where nvidia-smi lists one (a Bento's is always gpu)
#   ARGS="…"            handed on to the command behind the verb

PYTHON ?= python3
# Where a Bento is built says nothing about where it will run: without a word, it has the engine that runs on both.
bento_device := $(or $(DEVICE),gpu)
ifndef DEVICE
DEVICE := $(shell nvidia-smi --list-gpus >/dev/null 2>&1 && echo gpu || echo cpu)
endif
ifeq ($(filter $(DEVICE),cpu gpu),)
$(error DEVICE is '$(DEVICE)', it must be cpu or gpu)
endif

CONFIG :=
RUN :=
OUTPUT := artifacts/$(notdir $(RUN:/=))
URL :=
SHAPE := steady
RATE :=
USERS :=
DURATION := 60s

# Two environments, because the service must run without PyTorch. Each is made anew when the device changes, so that it
# never holds both engines, and brought up to date when pyproject.toml does; the marker file makes the next call quick.
serve_python := .venv-serve/bin/python
dev_python := .venv/bin/python
serve_ready := .venv-serve/.ready-$(DEVICE)
serve_test_ready := .venv-serve/.ready-$(DEVICE)-test
dev_ready := .venv/.ready-$(DEVICE)
# The tests of deploy/ ask a real one.
prometheus := .prometheus/promtool
# A Bento is built in the service's environment as it is, whichever engine that has.
builder_ready := $(firstword $(wildcard .venv-serve/.ready-cpu .venv-serve/.ready-gpu) $(serve_ready))-test

pip_install = -m pip install -qq --disable-pip-version-check --editable
check_python := 'import sys; sys.version_info >= (3, 11) or sys.exit("seqserve needs Python 3.11 or newer, this is " \
	+ sys.version.split()[0] + "; name another one: make PYTHON=python3.12 ...")'
# Tests that need no PyTorch run in the service's environment, all others in the developer's.
service_tests := tests/contract tests/service
# A worker for each core, but no more than memory has room for: one with PyTorch takes a gigabyte.
pytest := -m pytest --numprocesses logical --maxprocesses 8 --dist worksteal

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup serve test test-all fuzz check train export results bench peers load soak bento no-torch

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

setup: $(serve_test_ready) $(dev_ready) ## Install everything: .venv-serve (the service) and .venv (all the rest)

serve: $(serve_ready) ## Start the service on the bundles in artifacts/ (ARGS="--port 3000 --bundles DIR")
	$(serve_python) -m service serve $(ARGS)

test: $(serve_test_ready) $(dev_ready) $(prometheus) no-torch ## Run the tests, pairwise over the variants of the architectures
	$(serve_python) $(pytest) $(service_tests) $(ARGS)
	$(dev_python) $(pytest) tests $(addprefix --ignore=,$(service_tests)) $(ARGS)

test-all: override ARGS += --all-variants
test-all: test ## Run the tests on every combination of variants

fuzz: $(serve_test_ready) ## Send thousands of made-up requests of every kind, and check every reply
	$(serve_python) -m pytest tests/service/test_fuzz.py --hypothesis-profile=fuzz $(ARGS)

check: $(dev_ready) ## Check format, lint, types and import rules
	$(dev_python) -m ruff format --check .
	$(dev_python) -m ruff check .
	$(dev_python) -m mypy
	.venv/bin/lint-imports --no-logo

train: need-CONFIG $(dev_ready) ## Train a model into runs/ (CONFIG=models/configs/NAME.yaml)
	$(dev_python) -m models train $(CONFIG) $(ARGS)

export: need-RUN $(dev_ready) ## Turn a training run into a verified bundle (RUN=runs/NAME OUTPUT=artifacts/NAME)
	$(dev_python) -m export $(RUN) --output $(OUTPUT) $(ARGS)

results: $(dev_ready) ## Fill docs/results.md from recorded runs (ARGS="run" trains and records what comparisons lack)
	$(dev_python) -m export.results $(or $(ARGS),render)

bench: $(dev_ready) ## Compare the runtime with CTranslate2 on the same weights and sentences
	$(dev_python) -m loadtest.bench $(ARGS)

peers: $(dev_ready) ## Compare the service with what a user would take in its place (ARGS="--provider cuda")
	$(dev_python) -m loadtest.bench peers $(ARGS)

load: $(dev_ready) ## Put load on a service, one started here or URL=… (SHAPE=step RATE=50 USERS=64 DURATION=60s)
	$(dev_python) -m loadtest load $(if $(URL),--url $(URL)) --shape $(SHAPE) $(if $(RATE),--rate $(RATE)) \
		$(if $(USERS),--users $(USERS)) --duration $(DURATION) $(ARGS)

soak: $(dev_ready) ## Ten minutes of mixed load: memory, errors, counters (ARGS="--seconds 3600")
	$(dev_python) -m loadtest soak $(ARGS)

bento: $(builder_ready) ## Build the Bento for GPU, which runs on CPU too; DEVICE=cpu builds the small one
	$(serve_python) -m deploy.container.build --device $(bento_device) $(ARGS)

.venv-serve/.ready-cpu .venv-serve/.ready-gpu: .venv-serve/.ready-%: pyproject.toml
	@$(PYTHON) -c $(check_python)
	@echo "Installing the service into .venv-serve for $* (a minute or so, once)"
	@test -e $@ || $(PYTHON) -m venv --clear .venv-serve
	@$(serve_python) $(pip_install) ".[serve,$*]"
	@touch $@

.venv-serve/.ready-cpu-test .venv-serve/.ready-gpu-test: .venv-serve/.ready-%-test: .venv-serve/.ready-%
	@$(serve_python) $(pip_install) ".[serve,serve-test,$*]"
	@touch $@

$(dev_ready): pyproject.toml
	@$(PYTHON) -c $(check_python)
	@echo "Installing PyTorch, exporter and tools into .venv for $(DEVICE) (some minutes, once)"
	@test -e $@ || $(PYTHON) -m venv --clear .venv
	@$(dev_python) $(pip_install) ".[dev,$(DEVICE)]"
	@touch $@

$(prometheus):
	@echo "Fetching Prometheus into .prometheus (once)"
	@deploy/prometheus/fetch.sh .prometheus

no-torch: $(serve_test_ready)
	@$(serve_python) -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") and ".venv-serve holds torch")'

need-%:
	@test -n '$($*)' || { echo "make: this verb needs $*=…; see make help" >&2; exit 2; }
