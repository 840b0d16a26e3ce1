# make demo: the mini world through all four stages; make test: the tests.  Both set up what they need in .venv.
PYTHON_ENV := .venv/bin/python

.PHONY: help setup demo test test-fast test-all test-gpu test-machines check-gpu notebook lint bench

help:
	@echo "make demo      train and adapt on the mini world (7 minutes on two cores)"
	@echo "make test      the tests, but for the slow ones, and the style checks"
	@echo "make test-fast what needs no training, in a minute: while working"
	@echo "make test-all  all tests"
	@echo "make bench     speed and memory against PyTorch (an hour); writes docs/results/speed.md"
	@echo "make check-gpu prove that a GPU computes and trains as the CPU does (ten minutes); make test-gpu: the tests of that"
	@echo "make test-machines  trainings across three hosts and under Slurm, in namespaces of this machine, for root (ten minutes)"
	@echo "make notebook  run notebooks/first_gpu.ipynb on the CPU, in short (five minutes)"
	@echo "make setup     the environment alone (.venv)"

setup:
	@tools/environment.sh

demo: setup
	@$(PYTHON_ENV) tools/demo.py

test: setup lint
	@OMP_NUM_THREADS=1 $(PYTHON_ENV) -m pytest -n 2 --dist loadfile -q

# What tests no training and no tool, and needs no browser.
FAST := tests/config tests/data tests/models tests/proxies tests/evaluation tests/test_layers.py tests/test_docs.py

test-fast: setup
	@OMP_NUM_THREADS=1 $(PYTHON_ENV) -m pytest -n 2 --dist loadfile -q $(FAST)

test-all: setup lint
	@HYPOTHESIS_PROFILE=other OMP_NUM_THREADS=1 $(PYTHON_ENV) -m pytest -n 2 --dist loadfile -q -m "not gpu and not machines"

test-gpu: setup
	@$(PYTHON_ENV) -m pytest -q -m gpu

test-machines: setup
	@tests/machines/packages.sh
	@$(PYTHON_ENV) -m pytest -q -rs -m machines tests/machines

check-gpu: setup
	@$(PYTHON_ENV) tools/check_gpu.py

# Jupyter is for the notebook alone, so it gets an environment of its own.
notebook: setup
	@[ -x .venv-notebook/bin/jupyter-nbconvert ] || { $(PYTHON_ENV) -m venv --clear .venv-notebook && \
		.venv-notebook/bin/python -m pip install --quiet --disable-pip-version-check nbconvert==7.16.6 ipykernel==6.29.5; }
	@DEVICE='cpu(0)' .venv-notebook/bin/python -m nbconvert --to notebook --execute --output-dir runs notebooks/first_gpu.ipynb

lint: setup
	@$(PYTHON_ENV) -m ruff check .
	@$(PYTHON_ENV) -m ruff format --check .
	@$(PYTHON_ENV) -m mypy

# PyTorch is for the benchmarks alone, so it gets an environment of its own.
bench:
	@VENV=.venv-bench tools/environment.sh
	@.venv-bench/bin/python -c 'import torch' 2>/dev/null || \
		.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@.venv-bench/bin/python benchmarks/bench.py
