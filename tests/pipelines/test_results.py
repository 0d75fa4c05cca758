import re

import pytest

from pipelines.asked import asked_of
from pipelines.results import Results, render_report


@pytest.fixture
def page():
    """The visible text of a curation's page, made of a small report that `changes` are laid over."""

    def build(usage=None, cached_steps=(), **changes):
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
            "synthesise": {},
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
            "asked": asked_of({"preference_report": {"usage": usage or {}}}, cached_steps),
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
    assert "preferences m 1,200 1,197 3 0 0 $0.00 $1.50" in page(
        {"m": usage}, cached_steps={"build_preference_dataset"}
    )


def test_an_unknown_price_is_not_shown_as_free(page):
    usage = {"n_requests": 1, "n_cached": 1, "n_failed": 0, "attempts": 0, "cost_usd": 0.0, "saved_usd": None}
    usage |= {"prompt_tokens": 0, "completion_tokens": 0, "latency_s": {"p50": None, "p90": None, "p99": None}}
    assert "preferences m 1 1 0 0 0 $0.00 unknown" in page(usage={"m": usage})


def test_a_jury_is_shown_with_its_members_selection_and_warnings(page):
    shown = {"id": "2123456789abcdef", "score": 0.5, "rationale": "<b>no</b>", "prompt": "Q", "answer": "A"}
    scores = {"n": 10, "n_scored": 9, "mean_score": 0.6, "distribution": [{"low": 1.0, "high": 1.0, "n": 9}]}
    judge = {
        **scores,
        "type": "llm",
        "prompt_version": "v2",
        "prompt_sha256": "f" * 64,
        "scale": [1, 5],
        "weight": 0.75,
    }
    agreement = {"agreement": 0.84, "low": 0.76, "high": 0.9, "n": 100}
    members = {"first": "strict", "second": "open", "n": 9, "same_side": 0.5, "spearman": None, "mean_difference": 0.1}
    total = {"n_in": 10, "n_unscored": 1, "n_above": 5, "n_below": 4, "n_kept": 6}
    judging = {
        **scores,
        "scale": [0, 1],
        "unscored": {"too_few_judges": 1},
        "cost_usd": 1.5,
        "paid_usd": 0.5,
        "judges": [
            {**judge, "name": "strict", "agreement": agreement, "unscored": {"truncated_reply": 1}},
            {**judge, "name": "open", "agreement": None, "unscored": {}},
        ],
        "jury": {
            "aggregate": "weighted", "quorum": 2, "weights": {"strict": 0.75, "open": 0.25}, "agreement": agreement,
            "members": [members],
            "mean_disagreement": 0.3, "most_disagreement": [{**shown, "detail": "strict 1, open 0"}], "pass_level": 0.5,
        },
        "selection": {
            "rule": "top_k=5", "groups": [{"name": None, "border": 0.5, "n_tied": 3}], "total": total,
            "by": [{"by": "source", "name": "chat", **total}], "above": [shown], "below": [shown],
        },
        "detector": None,
        "lowest": [shown],
        "warnings": ["look"],
    }  # fmt: skip
    text = page(judge=judging)
    assert "Look at this first judge: look" in text
    assert "9 of 10 rows scored" in text
    assert "cost $1.50, of which this run paid $0.50" in text
    assert "strict llm v2 ffffffff 9 0.6 of 5" in text
    assert "0.84 [0.76, 0.90], 100 labels 1 truncated reply" in text
    assert "strict and open 9 50.0 % – +0.10" in text
    assert "Selection: top_k=5" in text
    assert "source chat 10 1 5 4 6 60.0 %" in text
    assert "Border: 0.5 (3 rows tie at it)" in text
    assert "strict 1, open 0" in text
