"""Starts ZenML quietly and says in one line per step what it does."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: Set before zenml is imported, unless the user has set them.
ENVIRONMENT = {
    "ZENML_ANALYTICS_OPT_IN": "false",
    "ZENML_AUTO_OPEN_DASHBOARD": "false",
    "ZENML_LOGGING_VERBOSITY": "WARN",
    "ZENML_ENABLE_RICH_TRACEBACK": "false",
    "ZENML_ENABLE_REPO_INIT_WARNINGS": "false",
    # Without it, a config given from another folder would make that folder the source root, silently.
    "ZENML_CUSTOM_SOURCE_ROOT": str(ROOT),
    "ZENML_REPOSITORY_PATH": str(ROOT),
    # Threads that spin while they wait make two loaded cores unusable.
    "OMP_WAIT_POLICY": "passive",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def prepare_environment() -> None:
    """Set what must be set before zenml and torch are imported, and make the checkout a ZenML repository."""
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    # A new database announces its defaults as warnings.
    logging.getLogger("zenml.zen_stores.base_zen_store").setLevel(logging.ERROR)
    repository = Path(os.environ["ZENML_REPOSITORY_PATH"])
    if not (repository / ".zen").is_dir():
        from zenml.client import Client

        Client.initialize(root=repository)
    _skip_integrations()


def _skip_integrations() -> None:
    """Keep ZenML from activating every installed integration when it compiles a pipeline.

    That imports torch and scikit-learn (seconds, also for a cached run) to register materializers that pickle. Ours
    are named by every step, and the components of a stack are still loaded on demand.
    """
    from zenml.integrations.registry import integration_registry

    integration_registry.activate_integrations = lambda: None


class StepNarrator(logging.Handler):
    """Prints a line when a step starts, ends, or is taken from the cache."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._started_at: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Translate ZenML's message; what is no step message passes through when it is a warning."""
        message = record.getMessage()
        name = message.split("`")[1] if message.count("`") >= 2 else ""
        if message.endswith("has started."):
            self._started_at[name] = time.monotonic()
            self._print(f"  … {name}")
        elif message.startswith("Step") and "has finished in" in message:
            seconds = time.monotonic() - self._started_at.get(name, time.monotonic())
            self._print(f"  ✓ {name:34s} {seconds:7.1f} s")
        elif message.startswith("Using cached version"):
            self._print(f"  = {name:34s}  cached")
        elif record.levelno >= logging.WARNING and not message.startswith(("Step", "Failed to run step")):
            logging.getLogger().handle(record)

    @staticmethod
    def _print(line: str) -> None:
        print(line, file=sys.stderr, flush=True)


@contextmanager
def narrated() -> Iterator[None]:
    """Narrate the steps of the runs inside the block; ZenML's own tracebacks give way to our error paragraph."""
    names = ("step_launcher", "step_run_utils", "local.local_orchestrator")
    modules = [f"zenml.orchestrators.{name}" for name in names]
    narrator = StepNarrator()
    loggers = [
        logging.getLogger(name) for name in [*modules, "zenml.steps.step_runner", "zenml.orchestrators.step_runner"]
    ]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(narrator)
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.setLevel(level)
            logger.propagate = propagate
            logger.removeHandler(narrator)
