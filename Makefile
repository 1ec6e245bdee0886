# Everything here needs Go, and either Maven or Docker for real PostgreSQL servers.

SHELL := /bin/bash
.DEFAULT_GOAL := help

GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOFUMPT       := mvdan.cc/gofumpt@v0.12.0
GOVULNCHECK   := golang.org/x/vuln/cmd/govulncheck@v1.9.0
VERSION       := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# What is where; each is looked for when it is needed.
have = command -v $(1) >/dev/null 2>&1
docker_runs = { $(call have,docker) && docker info >/dev/null 2>&1; }

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: go-present ## build bin/pgibex
	@mkdir -p bin
	go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/pgibex ./cmd/pgibex

.PHONY: demo
demo: build servers-present ## watch a live 9.2 move to 14, on this machine
	@bin/pgibex demo

.PHONY: test
test: go-present servers-present ## every test, on real servers
	@used=$$(mktemp) && trap 'rm -f "$$used"' EXIT; failed=0; \
	PGIBEX_VERSIONS_FILE=$$used go test -race -count=1 -p 2 -parallel 4 -timeout 30m ./... || failed=1; \
	echo "The tests ran on:"; sort -u -V "$$used" | sed 's/^/  /'; \
	if ! grep -q '^PostgreSQL 9\.2\.' "$$used"; then \
		if [ "$$PGIBEX_TEST_SKIP_92" = 1 ]; then \
			echo "*** 9.2 WAS NOT TESTED, as PGIBEX_TEST_SKIP_92=1 allows: this run says nothing about 9.2. ***"; \
		else \
			echo "FAILED: nothing ran on a real 9.2 (PGIBEX_TEST_SKIP_92=1 allows that)"; failed=1; \
		fi; \
	fi; exit $$failed

.PHONY: matrix
matrix: go-present servers-present ## a stream's whole life between all versions [PAIRS=all]
	@used=$$(mktemp) && trap 'rm -f "$$used"' EXIT; failed=0; \
	PGIBEX_MATRIX=$(or $(PAIRS),1) PGIBEX_VERSIONS_FILE=$$used go test -race -count=1 -timeout 40m -v -run '^TestMatrix$$' ./integration || failed=1; \
	echo "A stream's whole life was tried on:"; sort -u -V "$$used" | sed 's/^/  /'; exit $$failed

.PHONY: torture
torture: go-present servers-present ## random faults under a random application [FAULTS=n] [SEED=n] [MINUTES=n]
	TORTURE_FAULTS=$(FAULTS) TORTURE_SEED=$(SEED) TORTURE_MINUTES=$(MINUTES) go test -count=1 -v -timeout 24h -run 'TestTorture$$' ./integration/torture

.PHONY: hostile
hostile: go-present servers-present ## something hostile to one table of a stream, by a seed each time [SEEDS=n] [SEED=n] [ONLY=regexp]
	HOSTILE_SEEDS=$(SEEDS) HOSTILE_SEED=$(SEED) HOSTILE_ONLY='$(ONLY)' go test -race -count=1 -v -timeout 24h -run '^TestHostile$$' ./integration

.PHONY: unit
unit: go-present ## the tests that need no server
	@go test -race -short ./...

.PHONY: lint
lint: go-present ## gofumpt, vet, golangci-lint with the import rules, known vulnerabilities
	@unformatted=$$(go run $(GOFUMPT) -l .) || exit 1; \
	if [ -n "$$unformatted" ]; then echo "not formatted (go run $(GOFUMPT) -w .):"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go run $(GOLANGCI_LINT) run
	@if found=$$(go run $(GOVULNCHECK) ./... 2>&1); then echo "$$found"; else \
		case "$$found" in \
		*"fetching vulnerabilities"*) echo "*** KNOWN VULNERABILITIES WERE NOT LOOKED FOR: vuln.go.dev cannot be reached. ***" ;; \
		*) echo "$$found"; exit 1 ;; \
		esac; \
	fi

.PHONY: bench
bench: go-present servers-present ## the benchmarks, on real servers
	go test -run '^$$' -bench . -benchmem -timeout 30m ./...

.PHONY: servers
servers: build ## show which PostgreSQL servers are to be had, and where
	@bin/pgibex servers

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

.PHONY: go-present
go-present:
	@$(call have,go) || { echo "Go is missing: install Go 1.26 or newer (https://go.dev/dl/)"; exit 1; }

# An address or a directory in the environment does as well: see internal/pgserver.
.PHONY: servers-present
servers-present:
	@if $(call have,mvn) || $(call docker_runs) || env | grep -qE '^PGIBEX_PG92_(DSN|BIN)=.'; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && $(call have,apt-get); then \
		echo "Neither Maven nor a running Docker: installing Maven (apt-get install maven) to get PostgreSQL servers with."; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends maven; } >/dev/null; \
	else \
		echo "Neither Maven nor a running Docker: install one of them (apt-get install maven; dnf install maven; brew install maven) to get PostgreSQL servers with."; \
		exit 1; \
	fi
