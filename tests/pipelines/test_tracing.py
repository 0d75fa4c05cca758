from pipelines.tracing import show

DECISION = {"stage": "judge", "decision": "kept", "evidence_id": None, "score": 0.75, "reason": None, "detail": None}
VERDICT = {
    "judge": "strict", "score": 4.0, "unscored_reason": None, "criteria": {"clarity": 5.0}, "rationale": "It is right.",
    "detail": None, "model": "m-2026", "prompt_version": "helpfulness_v2", "prompt_sha256": "f" * 64,
    "prompt_tokens": 400, "completion_tokens": 60, "cost_usd": 0.0021, "cached": True,
}  # fmt: skip


def test_a_row_shows_each_judges_score_reasons_model_prompt_and_cost():
    failed = {**VERDICT, "judge": "open", "score": None, "unscored_reason": "truncated_reply", "criteria": {}}
    failed |= {"rationale": None, "detail": "cut off", "cost_usd": None, "cached": False}
    text = show(
        {
            "id": "r",
            "model": "m",
            "version": "v",
            "stage": "none",
            "row": None,
            "decisions": [DECISION],
            "verdicts": [VERDICT, failed],
            "derived_rows": [],
            "sft_dataset_split": None,
        }
    )
    assert "strict: 4 (clarity 5): It is right." in text
    assert "by m-2026, prompt helpfulness_v2 (ffffffffffff), 400 + 60 tokens, $0.0021, from the cache" in text
    assert "open: no score (truncated_reply): cut off\n      by m-2026" in text
    assert text.count("$") == 1
