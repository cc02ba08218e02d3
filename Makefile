# The lab's domain controllers listen below port 1024 and its daemons run as their own users.
SUDO := $(shell [ "$$(id -u)" -eq 0 ] || echo sudo)
LAB  := $(SUDO) target/debug/writeback-lab
# Some tests stop and kill the lab's processes: what is built as a user is then run as root.
RUN  := $(if $(SUDO),--config "target.'cfg(all())'.runner='sudo -E'")

.PHONY: up down demo test compose-test bench fmt lint unit e2e install build

install:
	@tests/lab/install.sh

build:
	cargo build --workspace

up: install build
	$(LAB) up

down:
	cargo build --workspace --bin writeback-lab
	$(LAB) down

demo: up
	cargo run $(RUN) --package e2e --example demo

fmt:
	cargo fmt --all --check

lint:
	cargo clippy --workspace --all-targets -- -D warnings
	@command -v cargo-deny >/dev/null || { echo "lint: installing cargo-deny with cargo"; cargo install --locked cargo-deny; }
	cargo deny check bans licenses sources

unit:
	cargo test --workspace --exclude e2e

# The lab is stopped whether the tests pass or not. In this order: what disturbs the whole product comes after what would
# be disturbed, and the search for leaked passwords after everything that used one.
e2e: install build
	$(LAB) up
	cargo test $(RUN) --workspace --test e2e --test bus && \
	cargo test $(RUN) --workspace --test disturbed && \
	cargo test $(RUN) --workspace --test leaks; result=$$?; $(LAB) down; exit $$result

test: install fmt lint unit e2e

# What docker-compose.yml starts, on a real engine. It is no part of `test`: it compiles the workspace once more, for release
# and inside a container, which alone takes longer than all the other tests.
compose-test:
	@deploy/compose/test.sh

# On a fresh lab of release binaries; a lab that is running is stopped first, and the fresh one at the end.
bench: install
	cargo build --release --workspace
	$(SUDO) target/release/writeback-lab down
	$(SUDO) target/release/writeback-lab up
	$(SUDO) target/release/writeback-load; result=$$?; $(SUDO) target/release/writeback-lab down; exit $$result
