# `make` or `make help` lists the targets. Only Go is needed, except where a
# target says otherwise.

GO       ?= go
OUT      ?= hnsim-out
FUZZTIME ?= 3s
# Everything that go vet and the tests see; narrow it with PKG=./reports.
PKG      ?= ./...

.DEFAULT_GOAL := help
.PHONY: help build test race vet lint fmt fuzz-short windows mutate scenarios determinism cover docs golden ci clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the program as ./hnsim
	$(GO) build -o hnsim ./cmd/hnsim

test: ## all unit tests and the conformance suite as go test
	$(GO) test $(PKG)

race: ## the tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race $(PKG)

vet: ## go vet
	$(GO) vet $(PKG)

lint: fmt ## gofmt and staticcheck (version pinned in go.mod, checks in staticcheck.conf)
	$(GO) tool staticcheck $(PKG)

fmt: ## fail when a file is not gofmt'ed
	@files=$$(gofmt -l $$(git ls-files '*.go' 2>/dev/null || echo .)); \
	if [ -n "$$files" ]; then echo "not gofmt'ed:"; echo "$$files"; exit 1; fi

fuzz-short: ## every fuzz target for FUZZTIME (3s)
	@.ci/fuzz $(FUZZTIME)

windows: ## vet and build for Windows, amd64 and arm64
	GOOS=windows GOARCH=amd64 $(GO) vet $(PKG)
	GOOS=windows GOARCH=amd64 $(GO) build $(PKG)
	GOOS=windows GOARCH=arm64 $(GO) build $(PKG)

scenarios: ## the conformance suite against the model, reports in OUT (hnsim-out)
	$(GO) run ./cmd/hnsim run --out $(OUT)

determinism: ## two runs with one seed must have the same event hash, another seed another
	@.ci/determinism

mutate: ## break the model on purpose: every mutation must turn a scenario red, some a comparison, too
	$(GO) run ./conformance/mutation -also-diff 20

cover: ## coverage of all packages by all tests, cover.html
	$(GO) test -coverpkg=./... -coverprofile=cover.out $(PKG)
	$(GO) tool cover -func=cover.out | tail -1
	$(GO) tool cover -html=cover.out -o cover.html

docs: ## rewrite the command line reference cmd/hnsim/README.md
	$(GO) run ./cmd/hnsim docs > cmd/hnsim/README.md.tmp
	mv cmd/hnsim/README.md.tmp cmd/hnsim/README.md

golden: ## rewrite the golden files of reports and cmd; read the diff before committing it
	$(GO) test ./reports ./cmd/hnsim -update

ci: ## everything that CI checks
	.ci/run

clean: ## remove what the targets above made
	rm -rf hnsim hnsim.exe hnsim-out cover.out cover.html cmd/hnsim/README.md.tmp

# The HNS stand-in: unmodified Windows drivers under wine against the model.
.PHONY: standin test-wine suites hcsshim-suite hnslib-suite cni-suite

standin: ## build the stand-in's DLLs into hnsim-out/standin (needs mingw)
	sim/standin/shim/build.sh hnsim-out/standin

test-wine: ## the tests that run wine; a missing wine or mingw is a failure
	HNSIM_REQUIRE_TOOLS=1 $(GO) test -count=1 ./sim/standin/hostnet ./sim/standin/wine ./sim/standin/winetest ./backends/simulated
	HNSIM_REQUIRE_TOOLS=1 $(GO) test -count=1 -run 'Exec|Program|Forward' ./cmd/hnsim

suites: ## the three suites below
	$(GO) run ./sim/standin/suite hcsshim hnslib cni

hcsshim-suite: ## hcsshim's own tests under wine, each alone and all together
hnslib-suite: ## the same for hnslib, which kube-proxy uses
cni-suite: ## the same for pkg/hns of the CNI plugins
hcsshim-suite hnslib-suite cni-suite:
	$(GO) run ./sim/standin/suite $(@:-suite=)

# Unmodified drivers in scenarios.
.PHONY: drivers test-cni

drivers: ## build the CNI plugins for Windows into hnsim-out/drivers (downloads their sources)
	conformance/driver/cni/build.sh hnsim-out/drivers

test-cni: build drivers ## the CNI plugins under wine, and packets through what they made
	./hnsim run conformance/driver/cni/*.txtar --programs hnsim-out/drivers --out hnsim-out/cni

# Comparisons: hnsim diff and recordings.
.PHONY: mutate-diff

mutate-diff: ## break the model: hnsim diff must see 20 mutations without any expectation
	$(GO) run ./conformance/mutation -diff -sample 20

# The kernel backend: the suite on namespaces, bridges, VXLAN and nftables.
.PHONY: test-linux kernel-suite

# Nothing of it may stay: namespaces, interfaces and rules are compared.
test-linux: build ## the suite on the Linux kernel (as root, or with user namespaces)
	.ci/unchanged $(MAKE) --no-print-directory kernel-suite

# Half of the largest factor leaves time enough to whoever is late.
kernel-suite:
	HNSIM_REQUIRE_TOOLS=1 $(GO) test -count=1 ./backends/linux
	./hnsim run --backend linux --out $(OUT)/linux
	./hnsim diff --left sim --right linux --time-scale 15 --label 'timers && !slow' --parallel 4 --skip S-LB2-10/idle=600

# Several machines: a coordinator and agents as processes of their own.
.PHONY: test-agents

test-agents: build ## a coordinator and three agents, joined by real interfaces (as root)
	HNSIM_REQUIRE_TOOLS=1 $(GO) test -count=1 ./backends/spread/...
	HNSIM_REQUIRE_TOOLS=1 HNSIM_PROGRAM=$(CURDIR)/hnsim $(GO) test -count=1 -run TestATestBedOfThreeAgents ./cmd/hnsim

# The service.
.PHONY: kill-serve race-serve

kill-serve: ## kill hnsim serve 200 times: no acknowledged change may be lost
	$(GO) test -count=1 -v -run TestKilledServicesLoseNothing ./cmd/hnsim -kill-rounds 200

race-serve: ## 10,000 operations of 32 clients, HTTP and DLLs, under the race detector
	$(GO) test -count=1 -race -run 'AtOnce|BothKinds' ./sim/standin ./sim/standin/rest ./sim/standin/statefile

# The real HNS.
.PHONY: test-hns

test-hns: ## hnsim.exe through hcsshim under wine: the same results as the model (needs wine and mingw)
	backends/hns/test-standin.sh $(OUT)/hns

# Comparisons with other systems, in a module of their own.
.PHONY: peers test-peers

peers: ## the model beside the C limit, gVisor, gopacket, the kernel, XDP and switches (as root; ARGS="-rows l2,nat")
	cd conformance/bench/peers && $(GO) build -mod=mod -o $(CURDIR)/$(OUT)/peers . && exec $(CURDIR)/$(OUT)/peers $(ARGS)

test-peers: ## vet and tests of that module; what is missing here is a row with its reason
	cd conformance/bench/peers && $(GO) vet -mod=mod . && $(GO) test -mod=mod -count=1 .

# Exact gates.
.PHONY: instructions

instructions: ## instructions per packet under valgrind against those on record (ARGS=-update records anew)
	$(GO) test -count=1 -v -timeout 60m -run TestInstructionsPerPacket ./conformance/bench -instructions $(ARGS)

# Random worlds.
.PHONY: fuzz-worlds mutate-fuzz

fuzz-worlds: build ## random worlds for FUZZWORLDS (10m): flow tables on and off, and every invariant
	@mkdir -p $(OUT)
	./hnsim fuzz --duration $(or $(FUZZWORLDS),10m) --minimize $(OUT)/found.txtar

mutate-fuzz: ## plant errors of the flow table: hnsim fuzz must find each of them
	$(GO) run ./conformance/mutation -fuzz
