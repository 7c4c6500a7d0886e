# Two commands on a fresh Linux machine with Python 3.10 to 3.13: `make demo` and `make test`.

VENV   := .venv
OUTPUT ?= output/demo

# The first of these that runs and is 3.10 to 3.13; asked only while .venv is being made.
find_python = for name in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$name -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$name && break; done
PYTHON ?= $(shell $(find_python))

PIP    := $(VENV)/bin/python -m pip --disable-pip-version-check install --quiet
# mypy finds a package by its folder's name, and this folder may have any.
MYPY_ROOT := $(VENV)/mypy

# Threads that wait for one another by spinning starve where others use the machine too: 4 s a step instead of 0.3 s.
export OMP_WAIT_POLICY ?= PASSIVE

.DEFAULT_GOAL := help
.PHONY: help demo test check format examples clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: $(VENV)/standalone.stamp ## Train on the bundled reference and write the results to output/demo
	$(VENV)/bin/anima-fast-train demo --output $(OUTPUT)

test: $(VENV)/dev.stamp ## Run ruff and all tests; the last lines say what was skipped and why
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/python -m pytest -rs

check: $(VENV)/dev.stamp ## Run ruff and mypy
	$(VENV)/bin/ruff check .
	@mkdir -p $(MYPY_ROOT) && ln -sfn "$(CURDIR)" $(MYPY_ROOT)/anima_fast_train
	MYPYPATH=$(MYPY_ROOT) $(VENV)/bin/mypy -p anima_fast_train.masking -p anima_fast_train.training -p anima_fast_train.nodes

format: $(VENV)/dev.stamp ## Sort imports and format the code
	$(VENV)/bin/ruff check --select I --fix .
	$(VENV)/bin/ruff format .

examples: $(VENV)/dev.stamp ## Build example workflows, blueprint, thumbnails and screenshots anew (needs ComfyUI)
	$(VENV)/bin/python tests/browser/build_example_reference.py
	$(VENV)/bin/python tests/browser/build_examples.py
	$(VENV)/bin/python tests/browser/build_thumbnails.py
	$(VENV)/bin/python tests/browser/build_blueprint.py
	$(VENV)/bin/python tests/comfyui/object_info.py
	$(VENV)/bin/python tests/browser/build_screenshots.py

clean: ## Remove .venv, caches and outputs
	rm -rf $(VENV) output build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps, not files of the environment: a step that was interrupted is done again.
$(VENV)/created.stamp:
	@test -n "$(PYTHON)" || { echo "No Python 3.10 to 3.13 found; name one with: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }
	@touch $@

# Fixed for the demo and the tests alone; the package itself takes any torch.
$(VENV)/torch.stamp: $(VENV)/created.stamp
	$(PIP) torch==2.13.0
	@touch $@

$(VENV)/standalone.stamp: $(VENV)/torch.stamp pyproject.toml
	$(PIP) -e ".[standalone]"
	@touch $@

$(VENV)/dev.stamp: $(VENV)/torch.stamp pyproject.toml
	$(PIP) -e ".[standalone,dev]"
	@touch $@
