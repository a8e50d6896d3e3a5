# `make demo` and `make test` need nothing but Python 3.11 to 3.13: each makes .venv by itself.

PYTHON ?= python3
BIN := .venv/bin
DEMO_SIZES := 4 64 4 16 40
DEMO_FLAGS := --resolution 32 --batch 32 --epochs 60 --val 36

.PHONY: demo test faults lint clean

demo: .venv/.installed-demo
	$(BIN)/stylegan2-tf demo-data demo/data
	$(BIN)/python run.py demo/data demo/out $(DEMO_SIZES) $(DEMO_FLAGS)

test: .venv/.installed-dev
	$(BIN)/python -m pytest -n 2

faults: .venv/.installed-dev
	$(BIN)/python -m pytest -m slow -n 2 tests/faults tests/test_team.py tests/test_trainer.py

lint: .venv/.installed-dev
	$(BIN)/ruff check .

.venv/.installed-%: pyproject.toml setup.py
	@$(PYTHON) -c "import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) \
	else 'Python 3.11 to 3.13 is needed, found %d.%d; give one: make PYTHON=python3.12' % v)"
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[$*]"
	@touch $@

clean:
	rm -rf .venv demo build *.egg-info
