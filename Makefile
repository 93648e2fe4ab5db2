# riverrun. `make` alone lists the targets; `make demo` and `make test` set everything up by themselves.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test native test-native chaos chaos-long bench bench-full bench-gateway scaling drift malformed audit sbom lint format lock clean

VENV := .venv
EVENTS ?=
PYTEST_ARGS ?=
SEED ?= 1
RESUME ?=
# Two test processes, each with a Kafka and a Redis of its own: most tests wait for servers.
WORKERS ?= 2
LOCK_ARGS ?=
# Of all that may be compiled, and of the chain as a whole.
COMPILED_TESTS := audit constrained features ingest labels learn malformed native pipeline records runtime score simulation stores

help:  ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## install all that is needed: Python packages (locked), Kafka, Redis; quick when nothing has changed
	@scripts/setup.sh

demo: setup  ## run the flight delay demo (EVENTS=n for its length)
	@$(VENV)/bin/riverrun demo $(if $(EVENTS),--events $(EVENTS))

test: setup  ## run all tests and doctests (PYTEST_ARGS="-k name" for some)
	@$(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

native: setup  ## compile the inner loops into build/native (PYTHONPATH=build/native runs them; bench does)
	@scripts/native.sh

test-native: native  ## run the tests of all that is compiled on what was compiled
	@# By both ways: the tests' own processes go by pytest's, what they start by the environment's.
	@PYTHONPATH=$(CURDIR)/build/native EXPECT_COMPILED=1 \
		$(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile -o pythonpath="build/native ." $(PYTEST_ARGS) \
		$(if $(findstring --last-failed,$(PYTEST_ARGS)),,$(addprefix tests/,$(COMPILED_TESTS)))

chaos: setup  ## break everything for a quarter of an hour, and judge what is left (SEED=n; build/chaos.json)
	@$(VENV)/bin/python -m chaos --seed $(SEED)

chaos-long: setup  ## the same for hours: hundreds of each fault (RESUME=1 goes on where it was stopped)
	@$(VENV)/bin/python -m chaos --long --seed $(SEED) $(if $(RESUME),--resume)

bench: native  ## measure every figure in a quarter of an hour (build/bench.json, docs/performance.md)
	@PYTHONPATH=build/native $(VENV)/bin/python -m benchmarks

bench-full: native  ## the same with more rounds, events and state: hours
	@PYTHONPATH=build/native $(VENV)/bin/python -m benchmarks --full

bench-gateway: setup  ## measure the HTTP gateway beside a bare handler (build/gateway.json)
	@$(VENV)/bin/python -m benchmarks.gateway

scaling: setup  ## write what a million events a second take from the kept costs (docs/scaling.md)
	@$(VENV)/bin/python -m benchmarks.scaling

drift: setup  ## judge the detection of drift on seeded streams (build/drift.json)
	@$(VENV)/bin/python -m benchmarks.drift

malformed: setup  ## throw ten thousand malformed messages at every door (build/malformed.json)
	@$(VENV)/bin/python -m hostile

audit: setup  ## ask for known vulnerabilities of the locked packages
	@$(VENV)/bin/python scripts/audit.py

sbom: setup  ## write the bill of materials (build/sbom.cdx.json)
	@scripts/sbom.sh

lint: setup  ## check style, types and import contracts
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo

format: setup  ## format the code and mend what can be mended
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

lock:  ## resolve pyproject.toml into requirements.lock (LOCK_ARGS="-P name" or "--upgrade" to move versions)
	@scripts/lock.sh $(LOCK_ARGS)

clean:  ## remove the environment, caches and the embedded servers' data
	rm -rf $(VENV) .riverrun .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
