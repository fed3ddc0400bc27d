.DEFAULT_GOAL := help
PYTHON ?= python3
VENV   ?= .venv
EXTRAS ?= dev,all
TORCH_INDEX ?=
comma := ,
BIN   := $(VENV)/bin
STAMP := $(VENV)/.ready-$(subst $(comma),-,$(EXTRAS))
# Empty on purpose: where it is set, every import of torch compiles its modules again.
export PYTHONDONTWRITEBYTECODE :=
# Threads that spin while they wait collapse on a shared machine.
export GOMP_SPINCOUNT := 0
export OMP_NUM_THREADS ?= 1

.PHONY: site help setup demo report-picture test test-all browser phones one-truth check format docs bench-quick android dist clean

help:  ## List the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "edgesdk needs Python 3.11 or newer, found %d.%d; try: make test PYTHON=python3.12" % v[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; rm -rf $(VENV); exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@$(if $(TORCH_INDEX),$(BIN)/uv pip install --quiet --python $(BIN)/python --index-url $(TORCH_INDEX) torch==2.13.* torchvision==0.28.*)
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt --editable '.[$(EXTRAS)]'
	@$(BIN)/uv pip check --quiet --python $(BIN)/python
	@touch $@

setup: $(STAMP)  ## Make .venv and install edgesdk with what EXTRAS names

demo: $(STAMP)  ## Real pictures, shipped weights: export to every target, verify, bench, report
	$(BIN)/python examples/demo.py

report-picture: demo  ## Draw docs/images/report.png from the demo's report in headless Chromium
	$(BIN)/python tools/report_picture.py

test: $(STAMP)  ## Fast tests: no network, no GPU, no phone
	$(BIN)/python -m pytest -m 'not slow' -n 2 --dist loadfile

test-all: $(STAMP)  ## All tests: real training, every converter, kill tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

browser: $(STAMP)  ## What --device browser and its tests need: onnxruntime-web, Chromium (Debian, root)
	PYTHON=$(BIN)/python tools/browser.sh

phones: $(STAMP)  ## What test-all needs for its phones: real adb daemons, ARM64 Python (Debian, root)
	UV=$(BIN)/uv tools/phones.sh

one-truth: $(STAMP)  ## The same crops through every engine; writes benchmarks/results/one-truth.json
	-$(BIN)/python tools/browser_truth.py
	$(BIN)/python tools/one_truth.py
	$(BIN)/cog -r -I tools docs/one-truth.md

check: $(STAMP)  ## Lint, format, types, import direction, generated docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cog --check -I tools edgesdk/__init__.py README.md training/README.md docs/*.md

format: $(STAMP)  ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)  ## Write the generated parts of the docs anew
	$(BIN)/cog -r -I tools edgesdk/__init__.py README.md training/README.md docs/*.md

bench-quick: $(STAMP)  ## What edgesdk itself costs, and a quick run of the shipped models
	$(BIN)/python -m edgesdk_benchmarks.cost
	$(BIN)/edgesdk bench bridge-face bridge-face-32 --duration 1 --output-dir reports/quick

android: $(STAMP)  ## Build, test, pack and lint the Android demo; installs build tools where they are missing
	PYTHON=$(BIN)/python android_demo/tools/build.sh

site: $(STAMP)  ## The documentation as a web site in build/site, links checked
	$(BIN)/python tools/site.py
	$(BIN)/mkdocs build --quiet

dist: $(STAMP)  ## Build sdist and wheel into dist/
	rm -rf dist
	$(BIN)/python -m build --installer uv --outdir dist .

clean:  ## Remove what was built, not what was trained
	rm -rf dist build android_demo/build android_demo/*/build reports .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
