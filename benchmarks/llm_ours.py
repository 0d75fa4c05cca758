"""Many chat completions through Tunesmith's client, in a process of its own; run by `benchmarks.llm_client`.

    python -m benchmarks.llm_ours http://127.0.0.1:8911/v1 requests.json --concurrency 64 --cache replies.sqlite

The same work, and the same figures, as `benchmarks/llm_peer.py`: one request warms up, then the clock runs from the
list of requests to the list of replies, each checked against its schema and committed to the cache file.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.llm_peer import is_good, used_s
from steps.llm.client import ChatClient
from steps.llm.endpoint import EndpointSettings
from steps.llm.request import ChatRequest


def measure(base_url: str, path: Path, concurrency: int, cache: Path) -> dict[str, Any]:
    """Ask everything that the cache does not hold, and say what became of it."""
    work = json.loads(path.read_text(encoding="utf-8"))
    client = ChatClient(
        EndpointSettings(
            base_url=base_url,
            model="stub",
            max_concurrency=concurrency,
            timeout_s=work["timeout_s"],
            max_retries=work["retries"],
            max_tokens=256,
            cache_path=str(cache),
        )
    )

    def request(user: str) -> ChatRequest:
        messages = [{"role": "system", "content": work["system"]}, {"role": "user", "content": user}]
        return ChatRequest(messages, work["schema"])

    client.complete_all([request("warm-up")])
    requests = [request(user) for user in work["users"]]
    start_up_s = used_s()
    started = time.perf_counter()
    replies = client.complete_all(requests)
    wall_s, cpu_s = time.perf_counter() - started, used_s() - start_up_s
    accepted = [reply for reply in replies if reply.error is None]
    good = sum(is_good(reply.text) for reply in accepted)
    return {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "start_up_cpu_s": start_up_s,
        "answered": good,
        "junk": len(accepted) - good,
        "failed": dict(Counter(str(reply.failure) for reply in replies if reply.error is not None)),
        "from_cache": sum(reply.cached for reply in replies),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base_url")
    parser.add_argument("requests", type=Path)
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    found = measure(chosen.base_url, chosen.requests, chosen.concurrency, chosen.cache)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
