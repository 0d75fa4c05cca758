"""Every test runs against a ZenML database of its own, never against the user's."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Before anything imports zenml.
_config = tempfile.mkdtemp(prefix="zenml-test-")
atexit.register(shutil.rmtree, _config, ignore_errors=True)
os.environ.update(
    ZENML_CONFIG_PATH=_config,
    ZENML_ANALYTICS_OPT_IN="false",
    ZENML_LOGGING_VERBOSITY="WARN",
    ZENML_ENABLE_RICH_TRACEBACK="false",
    ZENML_LOGGING_COLORS_DISABLED="true",
    ZENML_DISABLE_STEP_LOGS_STORAGE="true",
    ZENML_DISABLE_PIPELINE_LOGS_STORAGE="true",
    ZENML_ENABLE_REPO_INIT_WARNINGS="false",
    ZENML_AUTO_OPEN_DASHBOARD="false",
    ZENML_CUSTOM_SOURCE_ROOT=str(ROOT),
    ZENML_REPOSITORY_PATH=_config,
    TUNESMITH_CACHE=str(Path(_config, "cache")),
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    OMP_WAIT_POLICY="passive",
    TOKENIZERS_PARALLELISM="false",
)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets that TUNESMITH_DATA names; the test skips where there is none."""
    folder = os.environ.get("TUNESMITH_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("TUNESMITH_DATA does not name a folder of real data")
    return Path(folder)
