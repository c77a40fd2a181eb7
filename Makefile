# `make repro` and `make test` each work as the first command after `git clone`: they build .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Tests in a process a core; those that share what is costly to make stay together (tests/conftest.py).
SIDE_BY_SIDE := -n logical --maxprocesses=4
GOLDEN ?= ../shared/data/golden
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help venv repro test slow check parity device clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(READY)  ## build .venv with the tested versions

ifneq ($(shell test -L $(VENV) && echo linked),)
# A link: the environment is somebody else's. It is used as it is, however old, and never built from here.
$(READY):
	@test -x $(BIN)/python || { echo "$(VENV) is a link to $$(readlink $(VENV)), where there is no environment:" \
	  "build it there (make venv), or remove the link" >&2; exit 2; }
else
# opencv-python, which face-alignment and insightface ask for, needs libGL; the headless build is the same module.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/pip uninstall --quiet --yes opencv-python
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --force-reinstall -c constraints.txt opencv-python-headless
	touch $(READY)
endif

repro: $(READY)  ## the main job: first the row of `model`, with its intervals, then Tables 1-3 (params.yaml says which)
	dvc repro headline
	pwm headline
	dvc repro

test: $(READY)  ## every test that needs no GPU
	python -m pytest $(SIDE_BY_SIDE) -m 'not slow'

slow: $(READY)  ## the tests of the whole graph, small (half an hour)
	python -m pytest $(SIDE_BY_SIDE) -m slow

check: $(READY)  ## style, layers and types
	ruff check .
	ruff format --check .
	lint-imports
	mypy

parity: $(READY)  ## golden checks against published code, on the folder GOLDEN
	python -m tests.parity "$(GOLDEN)"

# Of the system's Python where there is no .venv: a bare machine builds none.
DEVICE_PYTHON = $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))
MINUTES ?= 9
PARTS ?= tests timings runs
RUNS ?=
device:  ## on a machine with a GPU: tests, timings and reference runs, for MINUTES (docs/device.md)
	$(DEVICE_PYTHON) -m benchmarks.device --parts $(PARTS) --minutes $(MINUTES) --runs $(RUNS)

clean:  ## forget what was made (imported assets and DVC's cache stay)
	rm -rf reports/*/figures
	[ ! -d data ] || find data/ -mindepth 1 -maxdepth 1 ! -name assets -exec rm -rf {} +
