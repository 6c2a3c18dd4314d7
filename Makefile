# Everything runs in .venv, made from constraints.txt; `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
SOAK ?= all

.PHONY: help setup demo test test-gpu check format bench bench-nguyen bench-peers soak clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

.venv/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "dslc needs Python 3.11 or newer with venv (python3 --version: $$(python3 --version 2>&1))"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: .venv/installed  ## install everything into .venv

demo: .venv/installed  ## search convolutional networks for handwritten digits, about 3 minutes
	@$(BIN)/python -m dslc search conv_net --task digits --evaluations 120 --control 40 --run runs/demo --force
	@$(BIN)/python -m dslc best runs/demo -o runs/demo/best.py --force
	@$(BIN)/python -m dslc draw --best runs/demo -o runs/demo/best.svg --force
	@echo; cat runs/demo/best.py; echo
	@echo "The best network's source:  runs/demo/best.py"
	@echo "Its graph:                  runs/demo/best.svg"
	@echo "The report:                 runs/demo/report.html"

test: .venv/installed  ## run all tests (those that need a GPU are skipped)
	$(BIN)/python -m pytest -n 2 --dist loadfile -q

test-gpu: .venv/installed  ## run the GPU tests; fails where there is no GPU
	@$(BIN)/python -c 'import sys, torch; sys.exit(0 if torch.cuda.is_available() else "make test-gpu: torch sees no CUDA device")'
	$(BIN)/python -m pytest -q -m gpu

check: .venv/installed  ## linters, formatter, type checker, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

format: .venv/installed  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed  ## benchmarks: prints ratios against named baselines of the same run
	DSLC_CHECK=0 $(BIN)/python -m pytest tests/bench -q -s --benchmark-enable --benchmark-columns=median,iqr,rounds

bench-nguyen: .venv/installed  ## symbolic regression on the Nguyen targets; resumes: make bench-nguyen SEEDS=20 ROWS=1,2 POINTS=20
	DSLC_CHECK=0 $(BIN)/python -m tests.bench.run_nguyen $(if $(SEEDS),--seeds $(SEEDS)) $(if $(ROWS),--rows $(ROWS)) $(if $(POINTS),--points $(POINTS)) $(if $(STRATEGY),--strategy $(STRATEGY))

bench-peers: .venv/installed  ## install XGrammar, llguidance and outlines-core, and time their masks beside dslc's
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,bench]'
	DSLC_CHECK=0 $(BIN)/python -m pytest tests/bench/test_bench_peers.py -q -s --benchmark-enable

soak: .venv/installed  ## long tests: make soak SOAK=kill N=200
	$(BIN)/python -m tests.soak $(SOAK) $(if $(N),--count $(N))

clean:  ## remove what the other targets made
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks build dist ./*.egg-info runs
