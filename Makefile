# The project's verbs. `make` alone lists them.
#
#   make demo    build, then sample and map real bundled AlphaEarth data into demo-output/
#   make test    every test: Rust, then the Python oracles (installs what they need into .venv)
#   make wheel   the Python package, built and installed in .venv (debug profile; `pip install .` for use)
#   make lint    formatting, clippy and ruff: what CI runs
#   make bench   terravec beside its peers (installs them into .venv-bench; Python 3.12
#                or newer: BENCH_PYTHON=...; TORCHGEO=no leaves TorchGeo's 4 GB out)

PYTHON ?= python3
BENCH_PYTHON ?= python3.12
VENV := .venv
BENCH_VENV := .venv-bench
CARGO_TARGET_DIR ?= target
TARGET := $(abspath $(CARGO_TARGET_DIR))
BIN := $(TARGET)/debug/terravec

export CARGO_TARGET_DIR := $(TARGET)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo build release test test-rust test-python s3server wheel lint fmt bench deny clean

help:
	@sed -n 's/^#   \(.*\)/  \1/p' Makefile

build:
	cargo build --workspace --bins --examples

release:
	cargo build --release -p terravec-cli

demo: release
	TERRAVEC=$(TARGET)/release/terravec demo/run.sh

test: test-rust test-python

test-rust:
	cargo test --workspace

# A store that others wrote, for tests alone: no part of the workspace.
s3server:
	cargo build --manifest-path tests/s3server/Cargo.toml

test-python: $(VENV)/.installed build s3server wheel
	TERRAVEC_BIN=$(BIN) TERRAVEC_TARGET=$(TARGET)/debug $(VENV)/bin/pytest -q tests/python

# The Python package as users get it, but for the debug profile: built as a wheel, installed in the tests' environment.
wheel: $(VENV)/.installed
	rm -rf $(TARGET)/wheels
	$(VENV)/bin/maturin build --quiet --profile dev --strip --out $(TARGET)/wheels
	$(VENV)/bin/pip install --quiet --force-reinstall --no-deps $(TARGET)/wheels/terravec-*.whl

lint: $(VENV)/.installed
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

fmt: $(VENV)/.installed
	cargo fmt --all
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(BENCH_VENV)/.installed release
	$(if $(filter no,$(TORCHGEO)),,$(BENCH_VENV)/bin/pip install --quiet -r bench/requirements-torchgeo.txt)
	cargo build --release -p terravec --examples
	$(BENCH_VENV)/bin/python bench/run.py --bin-dir $(TARGET)/release
	$(BENCH_VENV)/bin/python bench/tables.py --bin-dir $(TARGET)/release
	cargo build --release -p terravec-location --examples
	$(BENCH_VENV)/bin/python bench/location.py --bin-dir $(TARGET)/release
	$(BENCH_VENV)/bin/python bench/learn.py --bin-dir $(TARGET)/release
	cargo build --release -p terravec-testserver
	$(BENCH_VENV)/bin/python bench/zarr_stores.py --bin-dir $(TARGET)/release
	$(BENCH_VENV)/bin/python bench/remote.py --bin-dir $(TARGET)/release
	$(BENCH_VENV)/bin/pip install --quiet --force-reinstall --no-deps .
	$(BENCH_VENV)/bin/python bench/python.py
	$(BENCH_VENV)/bin/python bench/search.py

# Licences and advisories of the dependencies; needs `cargo install cargo-deny` once.
deny:
	cargo deny check licenses bans sources

clean:
	rm -rf $(VENV) $(BENCH_VENV) demo-output bench/data

# A virtual environment is made anew when its pinned list changes, and marked only when complete.
# $(1) where, $(2) its list of packages, $(3) the Python, $(4) the oldest that will do
define make_venv
	@$(3) -c 'import sys; sys.exit(sys.version_info < $(4))' || \
		{ echo "error: a Python of at least version $(4) is needed, not $(3)" >&2; \
		  echo "  help: name one: make PYTHON=... or BENCH_PYTHON=..." >&2; exit 1; }
	rm -rf $(1)
	$(3) -m venv $(1)
	@$(1)/bin/pip install --quiet --requirement $(2) || \
		{ echo "error: pip could not install $(2)" >&2; \
		  echo "  help: the packages come from PyPI or its mirror (PIP_INDEX_URL); see to the network, run again" >&2; \
		  exit 1; }
	touch $(1)/.installed
endef

$(VENV)/.installed: tests/python/requirements.txt
	$(call make_venv,$(VENV),$<,$(PYTHON),(3$(comma)11))

$(BENCH_VENV)/.installed: bench/requirements.txt
	$(call make_venv,$(BENCH_VENV),$<,$(BENCH_PYTHON),(3$(comma)12))

comma := ,
