# Paths are relative, so the project's folder may have spaces in its name.
PYTHON_IN_VENV := .venv/bin/python
# Read by ONNX Runtime when it is imported: no usage data, no files in the home folder.
export ORT_DISABLE_TELEMETRY := 1

.DEFAULT_GOAL := help
.PHONY: help setup run test lint bench lock clean

help: ## show this help
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

setup: ## install everything popreel needs into this folder
	@deploy/setup.sh

run: setup ## set up, then start the platform in the foreground (Ctrl-C stops it)
	@exec .venv/bin/popreel up

test: setup ## set up, then run every test
	@deploy/test_tools.sh
	PLAYWRIGHT_BROWSERS_PATH=.cache/browsers $(PYTHON_IN_VENV) -m pytest

lint: setup ## style, types and the import contract
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: setup ## every benchmark (bench-NAME for one: bench/NAME.py)
	@$(PYTHON_IN_VENV) -m bench

bench-%: setup
	$(PYTHON_IN_VENV) -m bench.$(subst -,_,$*)

lock: setup ## bring requirements.lock up to date with pyproject.toml
	@deploy/lock.sh

clean: ## remove what was built or installed here; the data in .popreel stays
	rm -rf .venv .cache web/dist web/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
