"""A whole run small enough for a test: some dozens of notes, a base model of a few steps, every stage for real."""

import os
from pathlib import Path

import pytest
import yaml

SMALL = {
    "name": "small",
    "seed": 3,
    "corpus": {
        "path": "data/small",
        "n_notes": 90,
        "n_chats": 30,
        "n_reviews": 40,
        "n_duplicates": 4,
        "n_leaks": 3,
    },
    "sources": [
        {"type": "documents", "name": "notes", "path": "data/small/notes", "licence": "Apache-2.0"},
        {"type": "dataset", "name": "chat_log", "path": "data/small/chat_log.jsonl", "format": "sharegpt"},
        {"type": "preferences", "name": "reviews", "path": "data/small/reviews.jsonl", "ranker": "human"},
    ],
    "curation": {
        "synthesise": {"kinds": ["summary"]},
        "filter": {"length": {"min_answer_words": 6}, "keywords": {"phrases": ["do not distribute"]}},
        "dedup": {"semantic": None},
        "judge": {"judges": [{"type": "defect", "embedder": None}]},
        "split": {"test_fraction": 0.3},
        "decontaminate": {"benchmark_paths": ["data/small/benchmark.jsonl"], "max_drop_fraction": 0.5},
    },
    "model": {"tiny": {"hidden_size": 32, "n_layers": 1, "n_heads": 2, "vocab_size": 400, "steps": 12}},
    "training": {
        "sft": {"learning_rate": 1e-2, "epochs": 2, "batch_size": 16, "rank": 8},
        "preferences": {"imported": True},
        "dpo": {"learning_rate": 1e-3, "batch_size": 8},
    },
    "evaluation": {
        "metrics": ["tldr_format"],
        "max_rows": 24,
        "few_shot": 1,
        "generation": {"max_new_tokens": 12, "batch_size": 24},
    },
    # The loss of a model that has hardly learnt anything falls for sure; no other metric does at this size.
    "gate": {"metric": "loss", "candidate": "sft"},
    "release": {"licence": "apache-2.0"},
}


@pytest.fixture(scope="session")
def workspace(tmp_path_factory) -> Path:
    """A working directory with the small config; relative paths of the config live in it."""
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL))
    return folder


@pytest.fixture
def in_workspace(workspace, monkeypatch) -> Path:
    monkeypatch.chdir(workspace)
    return workspace


@pytest.fixture(scope="session")
def small_run(workspace):
    """The outcome of the small retrain run, made once."""
    from pipelines.runner import run_config

    before = Path.cwd()
    os.chdir(workspace)
    try:
        outcome = run_config(workspace / "small.yaml")
        return outcome._replace(folder=workspace / outcome.folder)
    finally:
        os.chdir(before)
