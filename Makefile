# The commands of the project. `make` alone lists them.
#
# Variables:  CHECK=1           walk the demo's tour unattended, then exit
#             ONLY=tls,tails    measure these scenarios of the lab and keep the results of others
#             CARGO_TARGET_DIR  where cargo builds (default: target)
#             MIRADOR_TOOLS     where the real servers are kept (see scripts/tools)

CARGO ?= cargo
CARGO_FLAGS ?= --locked
CHECK ?=
ONLY ?=
# Most tests wait for servers rather than compute.
TEST_THREADS ?= 4

target_dir := $(or $(CARGO_TARGET_DIR),target)
tools_bin = $(shell scripts/tools path)
shell_scripts := scripts/release scripts/tools .ci/run deploy/compose/load.sh router/src/demo/sandbox/reaper.sh

.DEFAULT_GOAL := help
# The order of the steps is part of the contract: cheap ones first.
.NOTPARALLEL:
.PHONY: help demo test build release fmt lab bench bench-check bench-monitor bench-pages
.PHONY: tools check-shell check-fmt check-clippy check-doc check-tests check-deny

define step
@printf '\n==> %s\n' '$(1)'
endef

# What `mirador --version` and mirador_build_info tell. Left out of the tests, which would be rebuilt
# for every commit.
demo build release: export MIRADOR_REVISION := $(or $(shell git rev-parse --short=12 HEAD 2>/dev/null),unknown)

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## run two tenants on real servers until Ctrl-C (CHECK=1: walk the tour and exit)
	$(call step,installing the servers that are missing)
	@scripts/tools demo
	$(call step,building the router)
	$(CARGO) build --release $(CARGO_FLAGS) --package router
	$(call step,starting the demo)
	@exec '$(target_dir)/release/mirador' demo --tools '$(tools_bin)' $(if $(filter 1 yes true,$(CHECK)),--check)

test: tools check-shell check-fmt check-clippy check-doc check-tests check-deny ## everything a change must pass
	$(call step,all passed)

build: ## build the router with optimisations
	$(CARGO) build --release $(CARGO_FLAGS) --package router

release: ## build the router as it is shipped, by a profile of it under load (twice as long), in target/optimized
	@scripts/release

fmt: ## format the sources
	$(CARGO) fmt --all

lab: ## measure the router beside its peers (70 minutes, or ONLY=tls,tails) and write docs/performance.md
	$(call step,installing the servers that are missing)
	@scripts/tools lab
	$(call step,measuring)
	MIRADOR_TOOLS_BIN='$(tools_bin)' $(CARGO) run --release $(CARGO_FLAGS) --package lab \
		$(if $(ONLY),-- --only '$(ONLY)')

bench: ## measure the steps of a request by themselves
	$(CARGO) bench $(CARGO_FLAGS) --package micro

bench-monitor: ## measure what watching 60,000 endpoints costs, and how soon dead ones are found out
	$(CARGO) build $(CARGO_FLAGS) --release --package monitor
	'$(target_dir)/release/monitor' scale
	'$(target_dir)/release/monitor' scale --deep 300
	'$(target_dir)/release/monitor' detect

bench-pages: build ## measure the page of 2,000 and of 10,000 tenants, in the router and in a browser
	@scripts/tools test
	'$(tools_bin)/python3' benches/pages/measure.py \
		--mirador '$(target_dir)/release/mirador' --chromium '$(tools_bin)/chromium'

bench-check: ## count instructions, allocations and system calls per request; fail above the baseline
	@scripts/tools bench
	$(CARGO) run --release $(CARGO_FLAGS) --package counts

tools:
	$(call step,installing the servers and clients that are missing)
	@scripts/tools test

check-shell:
	$(call step,shell scripts)
	@for script in $(shell_scripts); do bash -n "$$script" || exit; done
	@if command -v shellcheck >/dev/null; then shellcheck $(shell_scripts); fi

check-fmt:
	$(call step,formatting)
	$(CARGO) fmt --all --check

check-clippy:
	$(call step,lints)
	$(CARGO) clippy --workspace --all-targets $(CARGO_FLAGS) -- -D warnings

check-doc:
	$(call step,documentation)
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps $(CARGO_FLAGS)

check-tests:
	$(call step,tests)
	MIRADOR_TOOLS_BIN='$(tools_bin)' RUST_TEST_THREADS='$(TEST_THREADS)' \
		$(CARGO) test --workspace $(CARGO_FLAGS)

# The advisory database is left out: it would make the result depend on the day and the network.
check-deny:
	$(call step,licences and origins of dependencies)
	'$(tools_bin)/cargo-deny' check bans licenses sources
