# Every target works on a fresh machine: what it needs, it makes first.

.DEFAULT_GOAL := help
.PHONY: help setup run demo servers test check bench pictures

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadgroup
INSTALLED := .venv/.installed
EXTRAS := gcp,kafka,postgres,dev

help:  ## what there is to make
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: $(INSTALLED)  ## .venv with everything in it (PYTHON=... names the Python to use)

$(INSTALLED): setup.py
	@python=; for name in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
	    if $$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; \
	    then python=$$name; break; fi; done; \
	if [ -z "$$python" ]; then \
	    echo "callbeam needs Python 3.11, 3.12 or 3.13, and none is on the PATH. Install one, or name it:" >&2; \
	    echo "    make setup PYTHON=/path/to/python3.11" >&2; exit 1; fi; \
	test -x $(BIN)/python || $$python -m venv .venv || { rm -rf .venv; exit 1; }
	@echo "installing callbeam and what it needs into .venv (a minute or two) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[$(EXTRAS)]'
	@touch $@

run: setup  ## a generated day of CDRs through the batch pipeline, into callbeam.db
	$(BIN)/python -m pipelines.generate --people 20000 --days 1 --output data/cdrs.csv
	$(BIN)/python -m pipelines.run --input data/cdrs.csv --directory data/cdrs.directory.csv \
	    --output sqlite:///callbeam.db

demo: setup  ## generator, streaming pipeline and web UI together
	$(BIN)/python -m pipelines.demo

servers: setup  ## the real servers for the tests: Kafka, Pub/Sub, Prism, Flink, PostgreSQL, Chromium
	@$(BIN)/python tests/servers/fetch.py

test: setup  ## every test that this machine can run; the others by name, and what they need
	$(PYTEST)

check: setup  ## format, lint, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST)

bench: setup  ## the benchmark tables
	$(BIN)/python tests/bench_batch.py
	PYTHONPATH=.:io:tests $(BIN)/python tests/bench_stream.py
	PYTHONPATH=.:io:tests $(BIN)/python tests/bench_web.py

pictures: setup  ## the pictures of the documentation, taken by Chromium (make servers)
	PYTHONPATH=.:io:tests $(BIN)/python tests/pictures.py --docs
