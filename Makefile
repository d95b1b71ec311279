# `make run` and `make test` need nothing before them but Python 3.11 or newer with its venv module.
PYTHON ?= python3
VENV   ?= .venv
HOST   ?=
PORT   ?=
ARGS   ?=

BIN   := $(VENV)/bin
READY := $(VENV)/.ready
CODE  := starpod handlers

.PHONY: run test check format bench audit clean ui docs screenshots

run: $(READY) ui docs
	@$(BIN)/python -m compileall -q $(CODE)
	@$(BIN)/python -m starpod.server --dir . $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT))

test: $(READY) ui docs
	@$(BIN)/python -m compileall -q $(CODE)
	@$(BIN)/python -m tests.install
	$(BIN)/python -m pytest $(ARGS)

# Quick when nothing changed; without Node it fetches one from PyPI.
ui: $(READY)
	@$(BIN)/python -m starpod.frontend.build

# Its fonts are those of the UI, which is built first.
docs: $(READY) ui
	@$(BIN)/python -m starpod.frontend.documentation

# Pictures of every page into build/screenshots; needs Chromium.
screenshots: $(READY) ui
	$(BIN)/python -m tests.browser.screenshots $(ARGS)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m starpod.frontend.build --check
	$(BIN)/python -m pytest -q tests/test_architecture.py

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
	@$(BIN)/python -m compileall -q $(CODE)
	$(BIN)/python -m tests.bench $(ARGS)

# Asks PyPI and npm for advisories.
audit: $(READY) ui
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.9,<3'
	@mkdir -p build
	$(BIN)/python -m pip freeze --exclude-editable > build/audit.txt
	$(BIN)/pip-audit --requirement build/audit.txt --no-deps --disable-pip
	cd static && npm audit --omit=dev

clean:
	rm -rf $(VENV) static/dist static/node_modules build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find starpod handlers tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Bytecode is compiled here, so that also a machine that never writes it (PYTHONDONTWRITEBYTECODE) starts fast.
$(READY): setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Starpod needs Python 3.11 or newer; this is %s. Name another: make PYTHON=python3.12" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'setuptools>=77,<81'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --compile --no-build-isolation --editable '.[dev]'
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib
	@touch $@
