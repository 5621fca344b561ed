# Throughline. `make` alone prints this help.
SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

MODULES := proto libs services
BUILD   := $(CURDIR)/.build
TOOLS   := $(BUILD)/bin
PROTOC_PLUGINS := $(addprefix $(TOOLS)/protoc-gen-,go go-grpc go-redact grpc-gateway openapiv2)
# -race needs cgo; everything else is pure Go.
RACE    := CGO_ENABLED=1
# -race looks at pointer arithmetic too. In SQLite, which is C turned into Go, there is hardly anything else, and none of it ours:
# a quarter of what the config service's tests cost. Races are looked for there as everywhere.
RACE_FLAGS := -race -gcflags=modernc.org/...=-d=checkptr=0
# go test of these packages that says last which tests failed, and why. With RERUN=1, as in CI, up to five that failed run once more,
# unless it was a race; which ones did is noted for whoever mends them.
RERUN   ?=
gotest   = $(TOOLS)/gotestsum --format pkgname --format-icons text --format-hide-empty-pkg --hide-summary skipped \
  $(if $(RERUN),--rerun-fails=1 --rerun-fails-max-failures=5 --rerun-fails-run-root-test --rerun-fails-abort-on-data-race \
  --rerun-fails-report=$(BUILD)/again-$@.txt) --packages='$(1)' --
VERSION ?= $(shell git describe --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

export PATH := $(TOOLS):$(PATH)

##@ Use it
.PHONY: run demo crash
run: build ## Everything in one process, with a stream of events; stays up until Ctrl-C
	bin/throughline run
demo: build ## The same once: exits 0 only if nothing was lost or doubled; last line is JSON
	bin/throughline demo
crash: build ## The demo, killed with -9 and restarted five times on the way
	deploy/crash.sh

##@ Build and test
.PHONY: build test stress faults faults-processes fuzz test-kafka test-postgres test-separate test-clients requirements
build: ## The one binary, at bin/throughline
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/throughline ./services/cmd/throughline
test: $(TOOLS)/gotestsum ## All tests that need nothing installed, with the race detector
	$(RACE) $(call gotest,./proto/... ./libs/... ./services/...) $(RACE_FLAGS) -shuffle=on
ROUNDS ?= 5
stress: ## The tests of PKG, ROUNDS times, frozen for moments in between: finds tests that fail now and then (PKG=./services/writer RUN=...)
	deploy/stress.sh $(or $(PKG),$(error say which package: make stress PKG=./services/writer)) $(ROUNDS) $(RUN)
SEEDS ?= 200
faults: ## The writer through SEEDS seeds of faults and deaths, judged by what stands in the orgs
	go test -count=1 -timeout 15m -parallel 16 ./services/writer/faults -faults.seeds=$(SEEDS)
PROCESSES ?= 12
SEED ?= 0
faults-processes: build ## The same with the program's own processes, killed with -9: PROCESSES seeds, or the one SEED
	go test -count=1 -timeout 15m -parallel 4 -v -run TestProcesses ./services/writer/faults \
	  -faults.program=$(CURDIR)/bin/throughline -faults.processes=$(PROCESSES) -faults.seed=$(SEED)
test-kafka: ## The Kafka suites against Apache Kafka (KAFKA_BROKERS, or a broker started for it)
	deploy/kafka/run-kafka.sh exec -- $(MAKE) --no-print-directory test-kafka-run
.PHONY: test-kafka-run
test-kafka-run: $(TOOLS)/gotestsum
	THROUGHLINE_TEST_LONG=1 $(call gotest,./libs/stage/... ./services/e2e/...) -count=1 -p 1 -timeout 15m
test-postgres: $(TOOLS)/gotestsum ## The store suite against PostgreSQL (THROUGHLINE_TEST_POSTGRES, or a server started for it)
	deploy/postgres/run-postgres.sh exec $(call gotest,./services/config/...) -count=1
test-separate: build ## Every service as a process of its own, with its own Kafka user, over TLS: Apache Kafka and PostgreSQL
	deploy/separate.sh
test-clients: build ## Third-party Salesforce clients, unchanged, against the simulator (needs Node.js, npm and Python 3)
	deploy/clients/run.sh
FUZZTIME ?= 10s
fuzz: ## Every fuzz test for FUZZTIME each
	deploy/fuzz.sh $(FUZZTIME)
requirements: $(TOOLS)/requirements ## Run the suites and write docs/requirements.md: which test proves which requirement
	deploy/requirements.sh

##@ Measure
.PHONY: bench bench-stage bench-pipeline bench-writer bench-report bench-config bench-peers
bench: bench-stage bench-pipeline bench-writer bench-report bench-config ## All benchmarks
bench-stage: build ## One stage against a bare consume-produce copy
	bin/throughline bench stage
bench-pipeline: build ## Raw JSON in, Salesforce records out
	bin/throughline bench pipeline
bench-writer: build ## The writer against simulated orgs, some of them dead
	bin/throughline bench writer
bench-report: build ## A large report pushed into an org, against bare bulk jobs
	bin/throughline bench report --rows 100000
bench-config: build ## The config service: settings to watchers, a run log of 10 million rows, access tokens
	bin/throughline bench config
bench-peers: build ## The writer, jsforce and simple-salesforce drain the same records (needs Node.js, npm and Python 3)
	deploy/peers/run.sh

##@ Keep it clean
.PHONY: fmt lint verify generate tidy
fmt: $(TOOLS)/golangci-lint $(TOOLS)/buf ## Format Go and protobuf
	for m in $(MODULES); do (cd $$m && golangci-lint fmt ./...); done
	buf format -w --path proto/throughline
lint: $(TOOLS)/golangci-lint $(TOOLS)/buf $(BUILD)/third_party ## golangci-lint with the fences between packages, and buf
	for m in $(MODULES); do echo "lint $$m"; (cd $$m && golangci-lint run ./...); done
	buf lint
verify: $(TOOLS)/packages $(TOOLS)/openapi $(TOOLS)/buf $(PROTOC_PLUGINS) $(BUILD)/third_party ## Generated files, modules, contract and docs are up to date
	deploy/verify.sh
generate: $(TOOLS)/packages $(TOOLS)/openapi $(TOOLS)/buf $(PROTOC_PLUGINS) $(BUILD)/third_party ## Go code from the protobuf files, and docs/packages.md
	buf generate
	buf generate --template buf.gen.http.yaml
	$(TOOLS)/openapi services/config/internal/gateway/config.swagger.json
	$(TOOLS)/packages
tidy: ## go mod tidy in every module
	for m in $(MODULES) tools tools/lint; do (cd $$m && GOWORK=off go mod tidy); done

$(BUILD)/third_party: tools/go.mod tools/validateproto/main.go
	GOWORK=off go -C tools run ./validateproto $@
	@touch $@
$(TOOLS)/buf: tools/go.mod
	GOWORK=off go build -C tools -o $@ github.com/bufbuild/buf/cmd/buf
$(TOOLS)/gotestsum: tools/go.mod
	GOWORK=off go build -C tools -o $@ gotest.tools/gotestsum
$(TOOLS)/protoc-gen-go: tools/go.mod
	GOWORK=off go build -C tools -o $@ google.golang.org/protobuf/cmd/protoc-gen-go
$(TOOLS)/protoc-gen-go-grpc: tools/go.mod
	GOWORK=off go build -C tools -o $@ google.golang.org/grpc/cmd/protoc-gen-go-grpc
$(TOOLS)/protoc-gen-grpc-gateway $(TOOLS)/protoc-gen-openapiv2: tools/go.mod
	GOWORK=off go build -C tools -o $@ github.com/grpc-ecosystem/grpc-gateway/v2/$(@F)
$(TOOLS)/protoc-gen-go-redact: tools/protoc-gen-go-redact/main.go tools/go.mod
	GOWORK=off go build -C tools -o $@ ./protoc-gen-go-redact
$(TOOLS)/packages: tools/packages/main.go
	GOWORK=off go build -C tools -o $@ ./packages
$(TOOLS)/openapi: tools/openapi/main.go
	GOWORK=off go build -C tools -o $@ ./openapi
$(TOOLS)/requirements: tools/requirements/main.go
	GOWORK=off go build -C tools -o $@ ./requirements
$(TOOLS)/golangci-lint: tools/lint/go.mod
	GOWORK=off go build -C tools/lint -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

##@ Ship it
.PHONY: image
image: ## One small non-root image for all services
	docker build --build-arg VERSION=$(VERSION) -t throughline:$(VERSION) -f deploy/Dockerfile .

.PHONY: help
help:
	@awk 'BEGIN {FS = ":.*##"; printf "Throughline: engagement from Kafka into Salesforce.\n\nUsage: make \033[36m<target>\033[0m\n"} \
	  /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
	  /^[a-zA-Z_-]+:.*?##/ {printf "  \033[36m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)
