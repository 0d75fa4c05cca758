import os
import subprocess
import sys
import zipfile

import pytest

from steps.errors import ConfigError
from steps.rows import SFT
from steps.training.tracking import TrackingSettings, tracked

TRAIN_OFFLINE = """
import os, sys
from pathlib import Path
import pyarrow.parquet as pq
from steps.training.sft import SFTSettings, train_sft
from steps.training.tracking import TrackingSettings

base, data, out = map(Path, sys.argv[1:])
before = dict(os.environ)
tracking = TrackingSettings(comet="offline", directory=str(out / "comet"))
train_sft(base, pq.read_table(data), SFTSettings(epochs=1), out / "sft", tracking)
sys.exit({name for name in dict(os.environ).items() ^ before.items() if "COMET" in name[0]} and "environment" or 0)
"""


def test_off_reports_nowhere_and_leaves_the_environment_alone():
    before = dict(os.environ)
    with tracked(TrackingSettings()) as report_to:
        assert report_to == []
        assert dict(os.environ) == before


def test_online_without_a_key_is_refused(monkeypatch):
    monkeypatch.delenv("COMET_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="COMET_API_KEY"), tracked(TrackingSettings(comet="online")):
        pass


@pytest.mark.integration
def test_offline_tracking_writes_an_archive_without_key_or_network(base_model, sft_dataset, tmp_path):
    import pyarrow.parquet as pq

    pq.write_table(sft_dataset.cast(SFT), tmp_path / "data.parquet")
    # In a process of its own: Comet leaves a socket open, which would be an error here.
    command = [sys.executable, "-c", TRAIN_OFFLINE, str(base_model), str(tmp_path / "data.parquet"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    (archive,) = (tmp_path / "comet").glob("*.zip")
    assert "loss" in zipfile.ZipFile(archive).read("messages.json").decode()
    assert "tunesmith" in zipfile.ZipFile(archive).read("experiment.json").decode()
