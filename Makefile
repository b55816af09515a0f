# The commands of a contributor. `make check` and `make test` are what CI runs (.ci/run); with `make -k` the
# stages after a failed one run too, as far as they do not need it.

STAGE := .ci/stage
SECONDS_FUZZ ?= 600

.PHONY: all check test fuzz bench clean
.PHONY: check-format check-lints check-docs check-dependencies
.PHONY: test-tools test-rust test-release test-instructions test-compat test-suites test-php-orders test-python-orders test-crash test-oracle
.PHONY: test-management test-command-line test-prometheus test-alarms

# Stages share the machine's cores and one build directory: one after the other.
.NOTPARALLEL:

all: check test

## Format, lints, documentation, licences: warnings are errors.
check: check-format check-lints check-docs check-dependencies

check-format: test-tools
	@$(STAGE) format cargo fmt --all --check

check-lints: test-tools
	@$(STAGE) lints cargo clippy --locked --workspace --all-targets -- -D warnings

check-docs: test-tools
	@RUSTDOCFLAGS="-D warnings" $(STAGE) docs cargo doc --locked --workspace --no-deps

# Advisories are left out: their database is not reachable from every build machine.
check-dependencies:
	@if command -v cargo-deny >/dev/null; then \
		$(STAGE) dependencies cargo deny --locked --workspace check licenses bans sources; \
	else \
		echo "== dependencies: not checked, cargo-deny is not installed"; \
	fi

## All tests. Installs what they need on a Debian machine with rustup's Rust.
test: test-rust test-instructions test-compat test-suites test-php-orders test-python-orders test-crash test-oracle test-management test-command-line test-prometheus test-alarms

test-tools:
	@$(STAGE) tools .ci/install-tools

# The broker and the package of its clients by themselves: what clients depend on never changes how the broker is built.
test-rust: test-tools
	@$(STAGE) tests cargo test --locked
	@$(STAGE) tests-of-compat-tests cargo test --locked -p leveret-compat-tests

# In the profile of releases, for that is what is to stay fast.
test-instructions: test-tools
	@$(STAGE) instructions cargo bench --locked --bench instructions -- --check

test-release: test-tools
	@$(STAGE) release-build cargo build --locked --release

test-compat: test-release
	@$(STAGE) compat-tests compat-tests/run

test-suites: test-release
	@$(STAGE) suites compat-tests/suites/run

test-php-orders: test-release
	@$(STAGE) php-orders examples/php-orders/run

test-python-orders: test-release
	@$(STAGE) python-orders examples/python-orders/run

test-crash: test-release
	@$(STAGE) crash-rounds cargo run --locked -q -p leveret-compat-tests --bin crash-rounds

test-oracle: test-release
	@$(STAGE) oracle cargo run --locked -q -p leveret-compat-tests --bin oracle

test-management: test-release
	@$(STAGE) management compat-tests/management/run

test-command-line: test-release
	@$(STAGE) command-line compat-tests/command-line/run

test-prometheus: test-release
	@$(STAGE) prometheus compat-tests/prometheus/run
	@$(STAGE) prometheus-compare compat-tests/prometheus/compare

test-alarms: test-release
	@$(STAGE) alarms compat-tests/alarms/run

## Every fuzz target, SECONDS_FUZZ (600) in total.
fuzz: test-tools
	@$(STAGE) fuzz .ci/fuzz $(SECONDS_FUZZ)

bench:
	cargo bench --locked

clean:
	cargo clean
	rm -rf compat-tests/.work
