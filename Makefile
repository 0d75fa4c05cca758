# Everything sets itself up on a fresh machine with Python 3.11; what is done already takes no time.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# The project's own ZenML database, so that trying Tunesmith changes nothing in yours. Set it to use another one.
export ZENML_CONFIG_PATH ?= $(CURDIR)/.tunesmith/zenml
export ZENML_ANALYTICS_OPT_IN ?= false

# The peers of the curation benchmarks, apart from what is installed above. SIZE=10000 makes a short run.
BENCH_VENV := .venv-bench
BENCH_INSTALLED := $(BENCH_VENV)/.installed
SIZE ?=

# The peers of the chat-completion client, an environment for each.
BENCH_LLM_VENVS := .venv-bench-llm
BENCH_LLM_PEERS := openai litellm distilabel
BENCH_LLM_INSTALLED := $(BENCH_LLM_PEERS:%=$(BENCH_LLM_VENVS)/%/.installed)

.PHONY: quickstart test check format bench bench-curation bench-llm clean

quickstart: $(INSTALLED)
	@$(BIN)/tunesmith run configs/quickstart.yaml

# Two at a time, a file to one process: its fixtures, models and pipeline runs among them, are made once.
test: $(INSTALLED)
	@$(BIN)/python -m pytest -n 2 --dist loadfile

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

bench-curation: $(INSTALLED) $(BENCH_INSTALLED)
	$(BIN)/python -m benchmarks.curation $(if $(SIZE),--size $(SIZE)) --peers-python $(BENCH_VENV)/bin/python

$(BENCH_INSTALLED): benchmarks/requirements-curation.txt
	@test -x $(BENCH_VENV)/bin/python || $(PYTHON) -m venv $(BENCH_VENV)
	@echo "installing the peers into $(BENCH_VENV) (some minutes the first time)"
	@$(BENCH_VENV)/bin/python -m pip install --quiet --quiet --disable-pip-version-check --requirement $<
	@touch $@

bench-llm: $(INSTALLED) $(BENCH_LLM_INSTALLED)
	$(BIN)/python -m benchmarks.llm_client --peers-folder $(BENCH_LLM_VENVS)

$(BENCH_LLM_VENVS)/%/.installed: benchmarks/requirements-llm-%.txt
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@echo "installing $* into $(@D) (some minutes the first time)"
	@$(@D)/bin/python -m pip install --quiet --quiet --disable-pip-version-check --requirement $<
	@touch $@

# The install is redone when what it installs has changed.
$(INSTALLED): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned dependencies into $(VENV) (some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@mkdir -p "$(ZENML_CONFIG_PATH)" && test -d .zen || $(BIN)/zenml init > /dev/null
	@touch $@

clean:
	rm -rf $(VENV) $(BENCH_VENV) $(BENCH_LLM_VENVS) .zen .tunesmith outputs data/quickstart .mypy_cache .ruff_cache .pytest_cache
