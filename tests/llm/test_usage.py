import pyarrow as pa

from steps.llm.usage import usage_of
from steps.rows import CALL

CALLED = {"model": "m", "attempts": 1, "prompt_tokens": 100, "completion_tokens": 10, "cost_usd": 0.5, "latency_s": 1.0}


def calls(*changes):
    return pa.Table.from_pylist([{**CALLED, "cached": False, **change} for change in changes], schema=CALL)


def test_a_cached_reply_counts_as_saved_and_not_as_paid():
    found = usage_of(calls({}, {"cached": True, "cost_usd": 0.25, "latency_s": 60.0}))["m"]
    assert (found["n_requests"], found["n_cached"], found["n_failed"], found["attempts"]) == (2, 1, 0, 1)
    assert (found["cost_usd"], found["saved_usd"]) == (0.5, 0.25)
    assert (found["prompt_tokens"], found["completion_tokens"]) == (100, 10)
    assert found["latency_s"] == {"p50": 1.0, "p90": 1.0, "p99": 1.0}


def test_an_unknown_price_makes_the_sum_unknown():
    assert usage_of(calls({}, {"cost_usd": None}))["m"]["cost_usd"] is None


def test_models_are_told_apart_and_failures_counted():
    found = usage_of(calls({"error": "timeout: no reply"}, {"model": "n"}, {"model": None}))
    assert {model: (one["n_requests"], one["n_failed"]) for model, one in found.items()} == {"m": (1, 1), "n": (1, 0)}


def test_what_was_found_out_about_a_model_stands_beside_its_sums():
    rows = [
        {"model": "a", "cost_usd": 0.5, "cached": False, "latency_s": 1.0, "attempts": 1},
        {"model": "b", "cached": True},
    ]
    calls = pa.Table.from_pylist([{name: row.get(name) for name in CALL.names} for row in rows], schema=CALL)
    found = usage_of(calls, {"a": {"structured": "tool"}})
    assert found["a"]["capabilities"] == {"structured": "tool"}
    assert found["a"]["cost_usd"] == 0.5
    assert "capabilities" not in found["b"]
