# Everything works in .venv/ inside this folder; nothing of yours is touched.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
export OMP_WAIT_POLICY := passive
export MLFLOW_DISABLE_TELEMETRY := true
# Tests start many processes: the code is compiled once for all of them.
unexport PYTHONDONTWRITEBYTECODE
# In so many processes tests run, a file at a time each.
WORKERS ?= 2

.PHONY: help demo test lint coverage slow recovery bench cards clean

help:  ## Show what can be made.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)

demo: $(READY)  ## Set everything up and run the main job in a simulated world.
	$(BIN)/riskadj demo

test: $(READY)  ## Set everything up and pass the tests.
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(READY)  ## Check style, types, the layers and security.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -ll -c pyproject.toml -r src

coverage: $(READY)  ## Say which branches of the code the tests pass through; kernels as plain Python.
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report=
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest tests/unit/test_shap.py --cov --cov-append

slow: $(READY)  ## Pass the slow tests: scale and recovery.
	$(BIN)/python -m pytest -m slow

recovery: $(READY)  ## Write what each method recovers of a known truth: a quarter of an hour or more.
	$(BIN)/python benchmarks/recovery.py

bench: $(READY)  ## Measure riskadj against its peers: half an hour; R and lme4 take part if here.
	$(BIN)/python benchmarks/run.py

cards: $(READY)  ## Make every card under model_cards/ anew: 20 minutes or more.
	$(BIN)/python model_cards/make.py

clean:  ## Remove what was set up.
	rm -rf .venv
