"""A tiny model with a LoRA adapter of random weights: a release needs no training, only something to merge."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from steps.chat.model import load_tokenizer, quiet
from steps.registry.release import assemble
from steps.training import adapters
from steps.training.base import ModelSettings, prepare_base
from steps.training.manifest import read_manifest, write_manifest
from steps.training.sft import SFTSettings
from tests.training.conftest import write_bare_model

CARD = "---\nlicense: apache-2.0\n---\n\n# A card\n"


def write_adapted(base: Path, output: Path) -> Path:
    """Write a model as `train_sft` does: merged at the root, the adapter beside it, a manifest."""
    settings = SFTSettings(rank=4, alpha=8)
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(0)
        model = adapters.new_adapter(adapters.load_for_training(base, settings), load_tokenizer(base), settings, [])
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.3)
        adapters.save_merged(base, adapters.save_adapter(model, output, "made/base"), output)
        adapters.save_tokenizer(base, output)
    history = [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 1.25}, {"step": 2, "eval_loss": 1.5}]
    write_manifest(
        output,
        {**read_manifest(base), "kind": "sft", "base": "made/base", "adapter_over": "base", "history": history}
        | {"seed": 0, "settings": settings.model_dump(mode="json"), "n_rows_trained": 64},
    )
    return output


@pytest.fixture(scope="session")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bare = write_bare_model(tmp_path_factory.mktemp("bare"))
    return prepare_base(ModelSettings(base=str(bare)), tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def model(base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapted(base_model, tmp_path_factory.mktemp("model"))


@pytest.fixture
def make_release(model: Path, tmp_path: Path) -> Callable[..., Path]:
    def make(name: str = "release", **facts: Any) -> Path:
        return assemble(model, lambda _: CARD, tmp_path / name, facts)

    return make


@pytest.fixture
def verdict() -> dict[str, Any]:
    return {
        "decision": "promote",
        "reason": "The interval lies above 0.",
        "metric": "loss",
        "candidate": "sft",
        "opponent": "base",
        "model_sha256": None,
        "difference": {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 30},
    }


@pytest.fixture
def evaluation_report(verdict: dict[str, Any]) -> dict[str, Any]:
    interval = {"mean": 1.25, "low": 1.0, "high": 1.5, "n": 30}
    model = {
        "mode": "zero_shot",
        "n_rows": 30,
        "n_answered": 29,
        "metrics": {"chrf": {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 29}},
        "loss": interval,
        "mean_tokens": 12.5,
        "stop_rate": 0.9,
    }
    meaning = {"description": "what it is", "unit": "nats per token", "higher_is_better": False}
    return {
        "metrics": {"loss": meaning, "chrf": {**meaning, "higher_is_better": True}},
        "models": {"base": {**model, "mode": "few_shot", "loss": None}, "sft": model},
        "verdict": verdict,
        "settings": {"gate": {"confidence": 0.95}},
    }


@pytest.fixture
def curation_report() -> dict[str, Any]:
    return {
        "funnel": [
            {"stage": "filter", "n_in": 100, "n_kept": 90, "n_dropped": 10, "reasons": {"too_few_words": 10}},
            {"stage": "split", "n_in": 90, "n_kept": 90, "n_dropped": 0, "reasons": {}},
        ],
        "sources": [{"source": "notes|2026", "kind": "summary", "licence": "CC0-1.0", "n_rows": 90}],
        "splits": {"train": 64, "test": 26},
    }
