# Needs make and Python >= 3.11 with venv; everything else is installed into .venv.
# Node.js is wanted only by proto-lint.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
BUF ?= npx --yes @bufbuild/buf@1.75.0
ARGS ?=

BIN := .venv/bin
PROTOS := $(wildcard protos/ledger/v1/*.proto)
SERVICES := $(shell grep -l '^service ' $(PROTOS))

##@ Everyday

help: ## List the targets
	@awk -F ':.*## ' '/^##@ /{printf "\n%s\n", substr($$0, 5)} \
	    /^[a-z][a-z-]*:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVariables: PYTHON=%s, ARGS= more arguments for run, test and bench.\n' '$(PYTHON)'

run: .venv/.installed ## Serve with an embedded database and the demo program
	$(BIN)/ledger serve --demo $(ARGS)

watch: .venv/.installed ## Watch that server with Prometheus, and draw its dashboards (needs prometheus)
	$(BIN)/python -m deploy.prometheus.local $(ARGS)

test: .venv/.installed ## Run the tests, three at a time
	$(BIN)/pytest -n 3 $(ARGS)

test-faults: .venv/.installed ## Run every fault of docs/faults.md, those that take minutes as well
	$(BIN)/pytest -m 'faults or faults_long' $(ARGS)

check: .venv/.installed-dev ## Check style, types, layers and protos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MAKE) proto-check proto-lint

format: .venv/.installed-dev ## Format the code, and fix what can be fixed by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

##@ Protos

# Where the Google protos that ours import are.
PURELIB := $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'

# $(call generate,DIR) writes the modules of every proto, and the gRPC ones of those with services.
define generate
include=$$($(PURELIB)) \
&& $(BIN)/python -m grpc_tools.protoc -I protos -I "$$include" \
    --python_out=$(1) --pyi_out=$(1) $(PROTOS) \
&& $(BIN)/python -m grpc_tools.protoc -I protos -I "$$include" \
    --grpc_python_out=$(1) $(SERVICES)
endef

proto: .venv/.installed-dev ## Generate src/ledger/v1 from protos/
	rm -f src/ledger/v1/*_pb2*
	$(call generate,src)

proto-check: .venv/.installed-dev ## Fail unless src/ledger/v1 is what protos/ generate
	@rm -rf build/proto && mkdir -p build/proto
	@$(call generate,build/proto)
	@diff -rq --exclude=__init__.py --exclude=__pycache__ src/ledger/v1 build/proto/ledger/v1 \
	    || { echo 'proto-check: src/ledger/v1 is out of date; run "make proto"' >&2; exit 1; }
	@echo 'proto-check: src/ledger/v1 is up to date'

proto-lint: .venv/.installed-dev ## Lint protos/ with buf (needs npx, otherwise skipped)
	@if ! command -v npx > /dev/null; then \
	    echo 'proto-lint: SKIPPED, there is no npx (Node.js) here'; \
	else \
	    mkdir -p build \
	    && include=$$($(PURELIB)) \
	    && $(BIN)/python -m grpc_tools.protoc -I protos -I "$$include" --include_imports \
	        --include_source_info --descriptor_set_out=build/ledger.binpb $(PROTOS) \
	    && $(BUF) lint build/ledger.binpb --config buf.yaml --path ledger/v1 \
	    && $(BUF) format --diff --exit-code protos \
	    && echo 'proto-lint: protos are clean'; \
	fi

##@ Measuring

bench: .venv/.installed ## Run the benchmarks
	$(BIN)/python -m benchmarks $(ARGS)

CDNOW ?= ../shared/data/cdnow/CDNOW_master.txt

replay-cdnow: .venv/.installed ## Replay 69,659 real purchases and check every point and tier (CDNOW=file)
	$(BIN)/python -m benchmarks.replay_cdnow $(CDNOW) $(ARGS)

##@ Maintenance

constraints: .venv/.installed-dev ## Pin the versions of all dependencies anew
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --upgrade --quiet \
	    --python-version 3.11 --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	    --output-file build/constraints.txt
	@! grep -nE '://|--hash|^-| @ ' build/constraints.txt
	mv build/constraints.txt constraints.txt

PIN := $(BIN)/uv pip compile --generate-hashes --universal --python-version 3.11 --quiet \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links

requirements: .venv/.installed-dev ## Pin what the image holds, with hashes, as constraints.txt says
	$(PIN) pyproject.toml --extra otel --constraint constraints.txt --output-file build/requirements.txt
	echo 'hatchling' | $(PIN) - --constraint constraints.txt --output-file build/requirements-build.txt
	@! grep -nE '://| @ ' build/requirements*.txt
	mv build/requirements*.txt deploy/docker/

dashboards: .venv/.installed-dev ## Write the Grafana dashboards
	$(BIN)/python -m deploy.grafana

prometheusrule: .venv/.installed-dev ## Write the Prometheus rules as Kubernetes' operator takes them
	$(BIN)/python -m deploy.kubernetes.rules

wheel: .venv/.installed ## Build dist/*.whl
	$(BIN)/pip wheel --no-deps --wheel-dir dist .

clean: ## Remove what was built and cached (not .ledger, not .venv)
	rm -rf build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks migrations -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help run watch test test-faults check format proto proto-check proto-lint bench replay-cdnow constraints requirements dashboards \
    prometheusrule wheel clean

# The environment. The stamps are newer than what was installed from.

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo 'Python >= 3.11 is needed; point at one: make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null \
	    || { echo '$(PYTHON) has no venv or ensurepip; on Debian: apt-get install python3-venv' >&2; \
	        exit 1; }
	$(PYTHON) -m venv .venv

PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP_INSTALL) -e '.[embedded,test]'
	@touch $@

.venv/.installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP_INSTALL) -e '.[dev]'
	@touch $@ .venv/.installed
