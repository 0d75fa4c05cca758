"""Many chat completions through a peer, in a process of its own; run by `benchmarks.llm_client` with the peer's Python.

    python benchmarks/llm_peer.py SYSTEM http://127.0.0.1:8911/v1 requests.json --concurrency 64

Imports nothing of this project. `requests.json` holds `{"system", "users", "schema", "timeout_s", "retries"}`. One
request warms up before the clock starts. Prints CPU and wall seconds and what became of each row as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# litellm looks for its price list on the network otherwise.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["HF_HUB_OFFLINE"] = "1"

#: Answers texts, in order; what failed is an exception in its place.
Asker = Callable[[Sequence[str]], Awaitable[list[str | BaseException]]]


class Work:
    """What is to be asked, and how."""

    def __init__(self, path: Path, base_url: str, concurrency: int) -> None:
        found = json.loads(path.read_text(encoding="utf-8"))
        self.users: list[str] = found["users"]
        self.system: str = found["system"]
        self.timeout_s: float = found["timeout_s"]
        self.retries: int = found["retries"]
        self.base_url, self.concurrency = base_url, concurrency
        json_schema = {"name": "reply", "strict": True, "schema": found["schema"]}
        self.response_format = {"type": "json_schema", "json_schema": json_schema}

    def messages(self, user: str) -> list[dict[str, str]]:
        return [{"role": "system", "content": self.system}, {"role": "user", "content": user}]

    async def bounded(self, users: Sequence[str], ask: Callable[[str], Awaitable[str]]) -> list[str | BaseException]:
        """Ask each, no more than `concurrency` at once."""
        gate = asyncio.Semaphore(self.concurrency)

        async def one(user: str) -> str:
            async with gate:
                return await ask(user)

        return await asyncio.gather(*(one(user) for user in users), return_exceptions=True)


def openai(work: Work, aiohttp: bool = False) -> Asker:
    """The `openai` package with its default transport, or with the one on aiohttp."""
    from openai import AsyncOpenAI, DefaultAioHttpClient

    transport = {"http_client": DefaultAioHttpClient(timeout=work.timeout_s)} if aiohttp else {}
    client = AsyncOpenAI(
        base_url=work.base_url, api_key="x", max_retries=work.retries, timeout=work.timeout_s, **transport
    )

    async def ask(user: str) -> str:
        found = await client.chat.completions.create(
            model="stub",
            messages=work.messages(user),
            temperature=0,
            max_tokens=256,
            response_format=work.response_format,
        )
        return found.choices[0].message.content or ""

    return lambda users: work.bounded(users, ask)


def litellm(work: Work) -> Asker:
    """litellm, asynchronous, with the retries of the client that it wraps."""
    import litellm as library

    library.suppress_debug_info = True

    async def ask(user: str) -> str:
        found = await library.acompletion(
            model="openai/stub",
            api_base=work.base_url,
            api_key="x",
            messages=work.messages(user),
            temperature=0,
            max_tokens=256,
            response_format=work.response_format,
            timeout=work.timeout_s,
            max_retries=work.retries,
        )
        return found.choices[0].message.content or ""

    return lambda users: work.bounded(users, ask)


def distilabel(work: Work) -> Asker:
    """distilabel's model class, in batches of `concurrency`, as its pipeline does: one failure fails its batch."""
    from distilabel.models.llms import OpenAILLM

    model = OpenAILLM(
        model="stub", base_url=work.base_url, api_key="x", max_retries=work.retries, timeout=int(work.timeout_s)
    )
    model.load()

    async def ask(users: Sequence[str]) -> list[str | BaseException]:
        outcomes: list[str | BaseException] = []
        for start in range(0, len(users), work.concurrency):
            batch = users[start : start + work.concurrency]
            try:
                found = await model._agenerate(
                    inputs=[work.messages(user) for user in batch],
                    temperature=0.0,
                    max_new_tokens=256,
                    extra_body={"response_format": work.response_format},
                )
                outcomes += [each["generations"][0] or "" for each in found]
            except Exception as error:
                outcomes += [error] * len(batch)
        return outcomes

    return ask


def bare(work: Work) -> Asker:
    """No client at all: a socket per request in flight and the reply's bytes. It measures what the stub can give."""
    address = urlsplit(work.base_url)
    body = {"model": "stub", "temperature": 0, "max_tokens": 256, "response_format": work.response_format}
    head = (
        f"POST {address.path}/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
    )

    def packed(user: str) -> bytes:
        payload = json.dumps({**body, "messages": work.messages(user)}).encode()
        return f"{head}Content-Length: {len(payload)}\r\n\r\n".encode() + payload

    async def one_by_one(todo: Iterator[tuple[int, bytes]], replies: list[str | BaseException]) -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for i, request in todo:
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            size = int(answer.rpartition(b"Content-Length: ")[2])
            replies[i] = json.loads(await reader.readexactly(size))["choices"][0]["message"]["content"]
        writer.close()

    async def ask(users: Sequence[str]) -> list[str | BaseException]:
        replies: list[str | BaseException] = [RuntimeError("not asked")] * len(users)
        todo = enumerate(map(packed, users))
        await asyncio.gather(*(one_by_one(todo, replies) for _ in range(min(work.concurrency, len(users)))))
        return replies

    return ask


ASKERS: dict[str, Callable[[Work], Asker]] = {
    "bare": bare,
    "openai": openai,
    "openai_aiohttp": lambda work: openai(work, aiohttp=True),
    "litellm": litellm,
    "distilabel": distilabel,
}


def is_good(text: str) -> bool:
    """Say whether a reply is what the schema asks for."""
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, dict) and isinstance(found.get("score"), int) and isinstance(found.get("rationale"), str)


def used_s() -> float:
    """Return the CPU seconds of this process, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def measure(work: Work, asker: Callable[[Work], Asker]) -> dict[str, Any]:
    """Warm up, ask everything, and say what became of it."""
    ask = asker(work)
    await ask(["warm-up"])
    start_up_s = used_s()
    started = time.perf_counter()
    outcomes = await ask(work.users)
    wall_s, cpu_s = time.perf_counter() - started, used_s() - start_up_s
    texts = [each for each in outcomes if isinstance(each, str)]
    good = sum(map(is_good, texts))
    return {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "start_up_cpu_s": start_up_s,
        "answered": good,
        "junk": len(texts) - good,
        "failed": dict(Counter(type(each).__name__ for each in outcomes if not isinstance(each, str))),
    }


def main() -> None:
    """Measure one peer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("system", choices=sorted(ASKERS))
    parser.add_argument("base_url")
    parser.add_argument("requests", type=Path)
    parser.add_argument("--concurrency", type=int, required=True)
    chosen = parser.parse_args()
    work = Work(chosen.requests, chosen.base_url, chosen.concurrency)
    # Some peers greet on standard output, which belongs to the figures.
    with contextlib.redirect_stdout(sys.stderr):
        found = asyncio.run(measure(work, ASKERS[chosen.system]))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
