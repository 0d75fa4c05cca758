"""What asking models did cost: money, tokens, cache hits and waiting, summed over replies or over a table of calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def usage_of(
    calls: pa.Table, capabilities: Mapping[str, Mapping[str, str | bool]] | None = None
) -> dict[str, dict[str, Any]]:
    """Sum a table with the columns of `rows.CALL` up, per model.

    Args:
        calls: One row per request.
        capabilities: Of `ChatClient.capabilities`, those of several clients merged; what was found out about a model
            stands beside its sums then.

    Returns:
        Per model: `n_requests`, `n_cached`, `n_failed`, `attempts`, `prompt_tokens`, `completion_tokens` and
        `cost_usd` of this run (cached replies cost nothing; None if a price is unknown), `saved_usd` (what the cached
        ones did cost when they were paid for), `latency_s` `{p50, p90, p99}` of the replies that were asked for, and
        `capabilities` where they are known.
    """
    found = {}
    for model in pc.unique(calls["model"]).drop_null().sort().to_pylist():
        rows = calls.filter(pc.equal(calls["model"], model))
        is_cached = pc.fill_null(rows["cached"], False)
        paid, cached = rows.filter(pc.invert(is_cached)), rows.filter(is_cached)
        quantiles = pc.quantile(paid["latency_s"], q=[0.5, 0.9, 0.99]).to_pylist() if paid.num_rows else [None] * 3
        found[model] = {
            "n_requests": rows.num_rows,
            "n_cached": cached.num_rows,
            "n_failed": rows.num_rows - rows["error"].null_count,
            "attempts": pc.sum(paid["attempts"]).as_py() or 0,
            "prompt_tokens": pc.sum(paid["prompt_tokens"]).as_py() or 0,
            "completion_tokens": pc.sum(paid["completion_tokens"]).as_py() or 0,
            "cost_usd": _sum_usd(paid),
            "saved_usd": _sum_usd(cached),
            "latency_s": dict(zip(("p50", "p90", "p99"), quantiles, strict=True)),
        }
        if capabilities and model in capabilities:
            found[model]["capabilities"] = dict(capabilities[model])
    return found


def _sum_usd(calls: pa.Table) -> float | None:
    """Sum the costs; 0 for no calls, None if the price of one is unknown."""
    if calls["cost_usd"].null_count:
        return None
    return float(pc.sum(calls["cost_usd"]).as_py() or 0.0)
