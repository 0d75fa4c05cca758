import pyarrow as pa

from steps.llm.usage import usage_of
from steps.rows import CALL


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
