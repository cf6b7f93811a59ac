# Mailbell. `make` lists what can be done here.

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
GO ?= go
TOOL := $(GO) tool -modfile=.tools/go.mod
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
PACKAGES := ./...
FUZZTIME ?= 60s

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## fakes, notifier and sample devices, with a page in the browser
	$(GO) run ./cmd/lab

.PHONY: test
test: ## all specs and unit tests, with the race detector
	$(GO) test -race -timeout 9m $(PACKAGES)

.PHONY: day
day: ## 24 virtual hours of 15,000 mailboxes on every Exchange, with hostile servers (half an hour, 14 GiB)
	MAILBELL_DAY_MAILBOXES=$(or $(MAILBOXES),15000) MAILBELL_DAY_MAILS=$(or $(MAILS),40) MAILBELL_DAY_EXCHANGE="$(or $(EXCHANGE),2010sp2 2013 2016 2019 se online)" \
	  GOGC=800 GOMEMLIMIT=12GiB $(GO) test -timeout 24h ./scenarios/throttling -v -ginkgo.v -ginkgo.no-color -ginkgo.timeout 24h -ginkgo.focus '$(or $(FOCUS),A day of 24 hours)' | grep -v level=

.PHONY: storm
storm: ## worlds drawn from seeds: make storm SEEDS=1-1000
	MAILBELL_STORM_SEEDS='$(or $(SEEDS),1-100)' $(GO) test -timeout 24h ./scenarios/storm -ginkgo.timeout 24h

.PHONY: repeat
repeat: ## how exactly a seed repeats a storm: make repeat SEEDS=1-50
	MAILBELL_STORM_SEEDS=1 MAILBELL_STORM_REPEAT='$(or $(SEEDS),1-50)' $(GO) test -timeout 24h ./scenarios/storm -v -ginkgo.v -ginkgo.no-color -ginkgo.timeout 24h -ginkgo.focus 'played twice' | grep -E 'seed|share|differs|20[0-9]{2}-|FAIL|ok'

.PHONY: mutants
mutants: ## deliberate bugs, one at a time, and what catches each (ten minutes)
	MAILBELL_MUTANTS='$(or $(MUTANTS),all)' $(GO) test -v -count=1 -timeout 24h ./scenarios/mutants -run Caught | grep --line-buffered -v '^=== '

.PHONY: check
check: ## formatting, vet, staticcheck, dead code, tidy modules, Windows and Linux builds
	@out=$$($(TOOL) gofumpt -l cmd fakes notifier scenarios loadgen) && test -z "$$out" || { echo "$$out"; echo 'run: make format'; exit 1; }
	$(GO) vet $(PACKAGES)
	GOOS=windows $(GO) vet ./cmd/notifier ./notifier/...
	GOOS=windows CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/notifier
	CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/notifier
	$(TOOL) staticcheck $(PACKAGES)
	@out=$$($(TOOL) deadcode -test $(PACKAGES)) && test -z "$$out" || { echo "$$out"; exit 1; }
	$(GO) mod tidy -diff

.PHONY: format
format: ## gofumpt over everything
	$(TOOL) gofumpt -w $$(git ls-files '*.go')

.PHONY: bench
bench: ## micro benchmarks, ready for benchstat
	$(GO) test -run '^$$' -bench . -benchmem ./notifier/... ./fakes/...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (60s)
	@set -e; for f in $$(git grep -lE '^func Fuzz' -- '*_test.go'); do \
	  for t in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/p' $$f); do \
	    echo "== $$t in $$(dirname $$f)"; $(GO) test -run '^$$' -fuzz "^$$t$$" -fuzztime $(FUZZTIME) ./$$(dirname $$f); done; done

.PHONY: build
build: ## bin/notifier, bin/fakes, bin/lab, bin/loadgen
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: fakes-image
fakes-image: ## the fakes as a container image, mailbell/fakes
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o .scratch/image/fakes ./cmd/fakes
	docker build -q -t mailbell/fakes -f cmd/fakes/Dockerfile .scratch/image

.PHONY: notifier-image
notifier-image: ## the notifier as a container image, mailbell/notifier
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o .scratch/image/notifier ./cmd/notifier
	docker build -q -t mailbell/notifier -f cmd/notifier/Dockerfile .scratch/image

.PHONY: dist
dist: ## static notifier binaries for Linux and Windows, with checksums
	@mkdir -p dist
	for os in linux windows; do for arch in amd64 arm64; do \
	  ext=$$([ $$os = windows ] && echo .exe || true); \
	  GOOS=$$os GOARCH=$$arch CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o dist/mailbell-notifier-$$os-$$arch$$ext ./cmd/notifier || exit 1; done; done
	cd dist && sha256sum mailbell-notifier-* > SHA256SUMS && cat SHA256SUMS

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist .scratch
