# Primum. "make help" names the targets. Go and GNU make are needed; "make deps" says what else is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Debian has snmpd and ip where an ordinary user does not look.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

BIN := bin
GO := go
GOBUILD := CGO_ENABLED=0 $(GO) build -trimpath
PACKAGES := gcc snmpd snmp dcmtk orthanc python3-hl7 tcpdump tshark iproute2 protobuf-compiler libprotobuf-dev
NODE_PEER := agent/testdata/node-mllp
PROTOS := admin/v1/admin.proto control/v1/control.proto probe/v1/probe.proto
FUZZTIME ?= 20s
# The race detector looks at our code and what shares memory with it, not at the arithmetic of ciphers or at SQLite translated from C.
RACE := -race $(foreach p,modernc.org/... golang.org/x/crypto/... crypto/internal/...,-gcflags=$(p)=-race=false)

.PHONY: help build deps test check example-cpp generate demo demo-negative controls properties traces sim chaos spool judge fuzz bench clean

help: ## name the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "%-14s %s\n", $$1, $$2}'

build: ## build every program into bin/; the agent gets the digests of its probes
	@mkdir -p $(BIN)
	@for p in snmp dicom hl7; do $(GOBUILD) -o $(BIN)/primum-probe-$$p ./plugins/$$p/cmd/primum-probe-$$p; done
	@digest() { sha256sum $(BIN)/primum-probe-$$1 | cut -d' ' -f1; }; \
	$(GOBUILD) -ldflags "-X main.builtinPlugins=snmp=$$(digest snmp),dicom=$$(digest dicom),hl7=$$(digest hl7)" -o $(BIN)/primum-agent ./agent/cmd/primum-agent
	@$(GOBUILD) -o $(BIN)/lab ./plugins/lab/cmd/lab
	@$(GOBUILD) -o $(BIN)/primum-plugin ./plugins/cmd/primum-plugin
	@for m in controller/cmd/*/main.go; do [ ! -e "$$m" ] || $(GOBUILD) -o $(BIN)/ "./$$(dirname "$$m")"; done
	@ls $(BIN)

deps: ## install what the tests need: peers from Debian's packages, one from npm; or say what is missing
	@missing=""; for p in $(PACKAGES); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	for c in node:nodejs npm:npm; do command -v $${c%:*} >/dev/null || missing="$$missing $${c#*:}"; done; \
	if [ -n "$$missing" ]; then \
		if [ "$$(id -u)" = 0 ]; then as=""; \
		elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as="sudo -n"; \
		else echo "These Debian packages are missing and cannot be installed without root:$$missing" >&2; exit 1; fi; \
		echo "installing:$$missing"; $$as apt-get update -qq; \
		$$as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	fi
	@cd $(NODE_PEER); cmp -s package-lock.json node_modules/.primum-lock || { echo "installing: node-hl7-server"; \
		npm ci --ignore-scripts --no-audit --no-fund --silent && cp package-lock.json node_modules/.primum-lock; }

test: deps ## run all tests with the race detector, then those of the example plugin
	$(GO) test $(RACE) -count=1 -timeout 20m ./...
	cd plugins/example && $(GO) test $(RACE) -count=1 -timeout 2m ./...

check: ## format, vet, staticcheck, generated code, layout, example
	@out=$$(gofmt -l agent controller plugins proto safetylists layout_test.go); if [ -n "$$out" ]; then echo "not formatted:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool -modfile=proto/tools/staticcheck.mod staticcheck ./...
	@tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; $(MAKE) --no-print-directory generate OUT="$$tmp"; \
	for f in $$(cd proto && find . -name '*.pb.go'); do \
		diff -u -I '^//.*protoc  *v' "proto/$$f" "$$tmp/$$f" >&2 || { echo "proto/$$f is not what the .proto files say; run make generate" >&2; exit 1; }; done
	$(GO) test -count=1 ./layout_test.go
	cd plugins/example && $(GO) vet ./... && $(GO) test -count=1 ./...
	@$(MAKE) --no-print-directory example-cpp
	cd safetylists/bench && $(GO) vet .

example-cpp: PACKAGES := g++ pkg-config protobuf-compiler protobuf-compiler-grpc libgrpc++-dev libssl-dev
example-cpp: deps ## build the example in C++, certify it in the sandbox, and ask a rack of the laboratory with it
	@mkdir -p .build
	plugins/example-cpp/build.sh $(CURDIR)/.build/primum-probe-aldane-cpp
	$(GO) run ./plugins/cmd/primum-plugin certify .build/primum-probe-aldane-cpp --transcript plugins/example/testdata/rack.txt
	PRIMUM_VENDOR_PLUGIN=$(CURDIR)/.build/primum-probe-aldane-cpp $(GO) test -count=1 -run TestAMakersOwnProtocol ./agent

OUT ?= proto
generate: ## generate Go from the .proto files
	@mkdir -p .build $(OUT)
	@$(GO) build -o .build/protoc-gen-go google.golang.org/protobuf/cmd/protoc-gen-go
	@$(GO) build -modfile=proto/tools/grpc.mod -o .build/protoc-gen-go-grpc google.golang.org/grpc/cmd/protoc-gen-go-grpc
	@protoc -I proto --plugin=.build/protoc-gen-go --plugin=.build/protoc-gen-go-grpc \
		--go_out=$(OUT) --go_opt=paths=source_relative --go-grpc_out=$(OUT) --go-grpc_opt=paths=source_relative $(PROTOS)

demo: build ## the main job from end to end, on loopback, without root; KEEP=1 leaves it running
	@KEEP=$(KEEP) plugins/lab/demo.sh

demo-negative: deps ## take one control at a time out of a test build; the judge must report harm each time
	@try() { echo "== $$1"; shift; env "$$@" $(GO) test -count=1 -tags primum_takenout -run TestTheJudgeHasTeeth -v ./agent | grep -v '^=== '; }; \
	try "nothing taken out" PRIMUM_TAKEN_OUT=; \
	try "nothing taken out, a probe that asks for another object" PRIMUM_TAKEN_OUT= PRIMUM_FAULTY_PROBE=1; \
	try "nothing taken out, an approved time that is too short" PRIMUM_TAKEN_OUT= PRIMUM_SHORT_TIME=1; \
	try "control taken out: gap" PRIMUM_TAKEN_OUT=gap; \
	try "control taken out: second connection" PRIMUM_TAKEN_OUT=second-connection; \
	try "control taken out: exact bytes, with a probe that asks for another object" PRIMUM_TAKEN_OUT=oid PRIMUM_FAULTY_PROBE=1; \
	try "control taken out: release" PRIMUM_TAKEN_OUT=release; \
	try "control taken out: end of the approved time" PRIMUM_TAKEN_OUT=end PRIMUM_SHORT_TIME=1

properties: ## try the properties of the safety list on 30,000 drawn cases each, and 1,000 sequences of releases
	$(GO) test -count=1 -timeout 30m ./safetylists/ -run 'Never|Order|Index|EveryDecision' -rapid.checks=30000
	$(GO) test -count=1 -timeout 60m ./safetylists/release/ -run NoSequence -rapid.checks=1000

controls: deps ## take each hazard's control out of a copy of the tree; its test must go red each time
	$(GO) run ./plugins/lab/cmd/controls

traces: deps ## hold a million conversations of hostile probes against a grammar of their own
	PRIMUM_TRACES=200000 $(GO) test -count=1 -timeout 30m -run Whatever -v ./agent/internal/wire

sim: ## try a million seeded schedules of crashes, failing disks, set clocks and late papers on the agent's guard
	PRIMUM_SCHEDULES=1000000 $(GO) test -count=1 -timeout 60m -run NoSchedule -v ./agent/internal/guard

chaos: ## kill agent and controller 200 times in one run; no device is asked twice
	PRIMUM_KILLS=200 $(GO) test -count=1 -timeout 60m -run AgentAndControllerKilled -v ./plugins/lab/firstlight

spool: ## have a million records that an agent wrote while its controller was away taken up by the real programs
	PRIMUM_SPOOL=1000000 $(GO) test -count=1 -timeout 90m -run ASpool -v ./plugins/lab/firstlight

judge: ## two agents ask 10,000 glass devices while tools call for the same ones; the judge counts every window
	PRIMUM_CROWD=10000 $(GO) test -count=1 -timeout 20m -run NoWindowOfMany -v ./agent/internal/guard
	PRIMUM_CROWD=10000 $(GO) test -count=1 -timeout 120m -run WhatTwoAgents -v ./plugins/lab/firstlight

failures: ## let every part fail in the middle of a run: plugin, agent, controller, database, fsync, disk, boot clock
	PRIMUM_FAILURES=all $(GO) test -count=1 -timeout 30m -run 'WhateverFails|ABootClock|WhateverTheUplink' -v ./plugins/lab/firstlight

fuzz: ## run each fuzz test for FUZZTIME (20s)
	@grep -rl --include='*_test.go' '^func Fuzz' agent controller plugins safetylists | while read -r f; do \
		sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$f" | while read -r name; do \
			echo "$$(dirname "$$f") $$name"; (cd "$$(dirname "$$f")" && $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x .) </dev/null; done; done

bench: ## run the benchmarks; the last one beside other policy engines, as ratios
	$(GO) test -run '^$$' -bench . -benchmem ./...
	cd safetylists/bench && $(GO) run .

clean: ## remove what was built
	rm -rf $(BIN) .build
