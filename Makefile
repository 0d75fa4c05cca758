# Everything sets itself up on a fresh machine with Python 3.11; what is done already takes no time.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# The project's own ZenML database, so that trying Tunesmith changes nothing in yours. Set it to use another one.
export ZENML_CONFIG_PATH ?= $(CURDIR)/.tunesmith/zenml
export ZENML_ANALYTICS_OPT_IN ?= false

.PHONY: quickstart test check format bench clean

quickstart: $(INSTALLED)
	@$(BIN)/tunesmith run configs/quickstart.yaml

test: $(INSTALLED)
	@$(BIN)/python -m pytest

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pip check

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.quickstart_seeds

# The install is redone when what it installs has changed.
$(INSTALLED): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned dependencies into $(VENV) (some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@mkdir -p "$(ZENML_CONFIG_PATH)" && test -d .zen || $(BIN)/zenml init > /dev/null
	@touch $@

clean:
	rm -rf $(VENV) .zen .tunesmith outputs data/quickstart .mypy_cache .ruff_cache .pytest_cache
