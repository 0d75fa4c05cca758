import re

import pytest

from pipelines.asked import asked_of
from pipelines.results import Results, render_report


@pytest.fixture
def page():
    """The visible text of a curation's page, made of a small report that `changes` are laid over."""

    def build(usage=None, **changes):
        stage = {"stage": "filter", "n_in": 1200, "n_kept": 1197, "n_dropped": 3}
        stage["reasons"] = {"refusal": 2, "near_duplicate": 1}
        evidence = {"row_id": "0123456789abcdef", "evidence_id": None, "score": None, "detail": "<b>no</b>"}
        copy = {"row_id": "1123456789abcdef", "evidence_id": "f123456789abcdef", "score": 0.875, "detail": None}
        stage["examples"] = {"refusal": evidence, "near_duplicate": copy}
        dedup = {"alarms": [], "largest": [], "borderline": [], "vetoed": [], "detail": {}}
        dedup |= {"n_dropped": 0, "n_rows": 9, "n_clusters": 0}
        protected = {"overlaps_test": 7, "overlaps_benchmark": 5}
        curation = {
            "documents": [],
            "dedup": {"minhash": {**dedup, "n_vetoed": 0, "threshold": 0.8}},
            "judge": {},
            "split": {"alarms": [], "strata": [], "asked": {"train": 0.8, "validation": 0.1, "test": 0.1}},
            "leaks": {"groups": [], "texts": []},
            "decontaminate": {"action": "drop", "n_texts_compared": 4, "n_protected_texts": protected, "examples": []},
            "mix": {"parts": []},
            "guidance": None,
            **changes,
        }
        tokens = {"total": 9000, "trained": 5000, "n_counted": 1000, "n_refused": 0}
        summary = {
            "run": "r", "pipeline": "curate", "model": "m", "model_version": "v", "wall_s": 1.0, "verdict": None,
            "stages": [stage], "sources": [], "splits": {"train": 1000}, "tokens": {"train": tokens}, "planted": [],
            "asked": asked_of({"preference_report": {"usage": usage or {}}}),
            "models": {}, "steps": [], "artifacts": [],
        }  # fmt: skip
        html = render_report(Results(summary, {"curation_report": curation}, None)).split("</head>")[1]
        assert "<b>no</b>" not in html
        return " ".join(re.sub(r"<[^>]+>", " ", html).split())

    return build


def test_every_reason_is_shown_with_its_share_an_example_and_the_evidence(page):
    text = page()
    assert "filter refusal 2 0.17 % 0123456789ab &lt;b&gt;no&lt;/b&gt;" in text
    assert "near_duplicate 1 0.08 % 1123456789ab like f123456789ab (0.875)" in text
    assert "train 1,000 100.0 % 9,000 5,000" in text
    assert "Nothing overlaps." in text
    assert "Look at this first" not in text


def test_repairs_are_named_in_words(page):
    entry = {"source": "notes", "n_documents": 9, "formats": {"pdf": 9}, "languages": {"en": 9}, "licences": {"MIT": 9}}
    repaired = {**entry, "repairs": {"documents": 4, "mojibake": 3, "nul": 1200}}
    text = page(documents=[repaired, {**entry, "source": "books", "repairs": {}}])
    assert "notes 9 9 pdf 9 en 9 MIT 3 mojibake, 1,200 NULs in 4 documents" in text
    assert "books 9 9 pdf 9 en 9 MIT nothing" in text


def test_alarms_and_leaks_stand_first(page):
    leak = {"key": "what is x", "splits": ["test", "train"], "row_ids": ["a", "b"]}
    split = {"alarms": ["the test split is empty"], "strata": [], "asked": {"train": 1, "validation": 0, "test": 0}}
    text = page(leaks={"groups": [], "texts": [leak]}, split=split)
    first = text.index("Look at this first split: the test split is empty leaks between splits: 1")
    assert first < text.index("What became of the rows") < text.index("texts in test and train: what is x")


def test_what_models_were_asked_stands_in_the_page_with_money_cache_hits_and_waiting(page):
    seconds = {"p50": 0.2, "p90": 0.5, "p99": 2.0}
    usage = {"n_requests": 1200, "n_cached": 200, "n_failed": 3, "attempts": 1010, "latency_s": seconds}
    usage |= {"prompt_tokens": 9000, "completion_tokens": 800, "cost_usd": 1.5, "saved_usd": 0.004}
    text = page(usage={"m": usage})
    assert "preferences m 1,200 200 3 9,000 800 $1.50 $0.0040 0.2 / 0.5 / 2 s" in text


def test_an_unknown_price_is_not_shown_as_free(page):
    usage = {"n_requests": 1, "n_cached": 1, "n_failed": 0, "attempts": 0, "cost_usd": 0.0, "saved_usd": None}
    usage |= {"prompt_tokens": 0, "completion_tokens": 0, "latency_s": {"p50": None, "p90": None, "p99": None}}
    assert "preferences m 1 1 0 0 0 $0.00 unknown" in page(usage={"m": usage})
