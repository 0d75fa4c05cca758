"""The chat-completion client beside its peers: 2,000 requests to a local stub that answers after 200 ms.

    python -m benchmarks.llm_client --peers-folder .venv-bench-llm                  # the published tables
    python -m benchmarks.llm_client --requests 320 --rounds 1 --systems tunesmith openai   # a short look

Every system asks the same prompts with the same JSON schema, time limit and retries, in a process and an environment
of its own; they take turns, round after round, so that a load that comes or goes favours nobody, and the table shows
medians. Tunesmith's client runs as it is used: each reply is checked and committed to a fresh cache file. Writes
`benchmarks/results/llm_client.{json,md}`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.llm_stub import PLAN, RETRY_AFTER_S, SLOW_S, Stub
from benchmarks.machine import machine, sentence
from benchmarks.records import RESULTS, write

PEER = Path(__file__).with_name("llm_peer.py")
LATENCY_S, TIMEOUT_S, RETRIES = 0.2, 5.0, 5
CONCURRENCIES = (64, 256)
#: The faults come at the first of these.
FAULTY_CONCURRENCY = CONCURRENCIES[0]
#: Share of the ideal rate that is wanted, by concurrency, and rows a second from the cache alone.
WANTED, WANTED_REPLAY = {64: 0.95, 256: 0.7}, 20_000
OURS, BARE = "tunesmith", "bare"
TITLES = {
    OURS: "Tunesmith, replies committed to its cache",
    "openai": "openai, its default transport",
    "openai_aiohttp": "openai[aiohttp]",
    "litellm": "litellm",
    "distilabel": "distilabel, its model class",
    BARE: "(no client: bare sockets)",
}
#: Environment of each peer below the peers' folder; those that are not named here need none.
ENVIRONMENTS = {"openai": "openai", "openai_aiohttp": "openai", "litellm": "litellm", "distilabel": "distilabel"}
SCHEMA = {
    "type": "object",
    "properties": {"rationale": {"type": "string"}, "score": {"type": "integer", "minimum": 1, "maximum": 5}},
    "required": ["rationale", "score"],
    "additionalProperties": False,
}
SYSTEM = (
    "You grade one answer to one instruction. Read the instruction, then the answer. Say in one sentence what is good "
    "and what is wrong about it, and give a whole number from 1 (useless) to 5 (nothing to add). Facts count more than "
    "style, and length counts for nothing. Reply with one JSON object with the fields rationale and score."
)


class Case(NamedTuple):
    """What is measured: requests in flight, and whether one prompt in ten meets a fault."""

    concurrency: int
    faulty: bool

    @property
    def name(self) -> str:
        """Key in the record."""
        return f"{'faults' if self.faulty else 'clean'}_{self.concurrency}"

    def best_fraction(self, n: int) -> float:
        """Share of the ideal rate that no client exceeds: the last of the waves is not full."""
        return n / self.concurrency / math.ceil(n / self.concurrency)


CASES = (*(Case(each, faulty=False) for each in CONCURRENCIES), Case(FAULTY_CONCURRENCY, faulty=True))


class Bench:
    """Starts systems in turn against one stub."""

    def __init__(self, stub: Stub, folder: Path, peers: Path, n: int) -> None:
        self._stub, self._folder, self._peers, self._n = stub, folder, peers, n
        self._requests = folder / "requests.json"
        write_requests(self._requests, n)

    def run(self, system: str, case: Case) -> dict[str, Any]:
        """Return the figures of one run, and what the stub counted meanwhile; `{error}` if the system broke."""
        self._stub.reset()
        load = os.getloadavg()[0]
        url = self._stub.faulty_url if case.faulty else self._stub.base_url
        with tempfile.TemporaryDirectory(dir=self._folder) as scratch:
            command = [*self._command(system, Path(scratch)), url, str(self._requests)]
            done = started([*command, "--concurrency", str(case.concurrency)])
        found = figures_of(done)
        if "error" not in found:
            found |= {"load": load, "stub": self._stub.stats(), **rates(found, self._n, case.concurrency)}
        return found

    def _command(self, system: str, scratch: Path) -> list[str]:
        if system == OURS:
            return [sys.executable, "-m", "benchmarks.llm_ours", "--cache", str(scratch / "replies.sqlite")]
        python = sys.executable
        if system in ENVIRONMENTS:
            python = str(self._peers / ENVIRONMENTS[system] / "bin" / "python")
        return [python, str(PEER), system]


def write_requests(path: Path, n: int, marked: bool = True) -> None:
    """Write what all systems ask: prompts of about 1.5 KB, as a judge's are."""
    answer = "It depends on the weight, on the road and on the weather, and most of all on how well it is kept. " * 11
    users = [
        f"{'prompt' if marked else 'row'}-{i}: How far does it go on one charge?\n\nAnswer: {answer}" for i in range(n)
    ]
    work = {"system": SYSTEM, "users": users, "schema": SCHEMA, "timeout_s": TIMEOUT_S, "retries": RETRIES}
    path.write_text(json.dumps(work), encoding="utf-8")


def started(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a system to its end."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def figures_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Read what a system printed last."""
    try:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"error": (done.stderr or done.stdout)[-2000:]}
    return found


def rates(found: dict[str, Any], n: int, concurrency: int) -> dict[str, float]:
    """Return requests a second, as a share of the ideal too, and CPU milliseconds a request."""
    rate = n / found["wall_s"]
    return {
        "requests_per_s": rate,
        "of_ideal": rate / (concurrency / LATENCY_S),
        "cpu_ms": found["cpu_s"] / n * 1000,
        "lost": n - found["answered"] - found["junk"] - sum(found["failed"].values()),
    }


def replay(folder: Path, n: int) -> list[dict[str, Any]]:
    """Fill a cache through the client, then read all of it back three times, each in a fresh process, no stub left."""
    path, cache = folder / "replay.json", folder / "replay.sqlite"
    write_requests(path, n)
    command = [sys.executable, "-m", "benchmarks.llm_ours", "--cache", str(cache), "--concurrency", "256"]
    with Stub(latency_s=0.0) as stub:
        url = stub.base_url
        filled = figures_of(started([*command, url, str(path)]))
    if filled.get("answered") != n:
        raise SystemExit(f"the cache could not be filled: {filled}")
    runs = [figures_of(started([*command, url, str(path)])) for _ in range(3)]
    if any(run.get("from_cache") != n for run in runs):
        raise SystemExit(f"the cache did not replay: {runs}")
    return [{**run, "rows": n, "rows_per_s": n / run["wall_s"], "cpu_us": run["cpu_s"] / n * 1e6} for run in runs]


def median(runs: Sequence[dict[str, Any]], key: str) -> float:
    """Return the median of a figure over the rounds."""
    return statistics.median(run[key] for run in runs)


def versions(peers: Path, systems: Sequence[str]) -> dict[str, str]:
    """Return the version of each peer, as its environment says."""
    packages = {"openai": "openai", "openai_aiohttp": "openai", "litellm": "litellm", "distilabel": "distilabel"}
    found = {}
    for system in systems:
        if system in packages:
            code = f"import importlib.metadata as m; print(m.version({packages[system]!r}))"
            done = started([str(peers / ENVIRONMENTS[system] / "bin" / "python"), "-c", code])
            found[system] = done.stdout.strip()
    return found


def page(record: dict[str, Any]) -> str:
    """Write the tables."""
    return "\n".join([*_introduction(record), *_clean(record), *_faulty(record), *_replayed(record), ""])


def _introduction(record: dict[str, Any]) -> Iterator[str]:
    loads = [run["load"] for runs in record["runs"].values() for each in runs.values() for run in each if "load" in run]
    yield "# The chat-completion client and its peers\n"
    yield (
        f"Machine: {sentence(record['machine'])}; the stub shares it. Load average before the runs: "
        f"{min(loads):.1f} to {max(loads):.1f}. Made by `make bench-llm`.\n"
    )
    yield (
        f"{record['requests']:,} requests of {record['request_bytes']:,} bytes with a JSON schema, to a stub on this "
        f"machine that answers after {LATENCY_S * 1000:.0f} ms. Each system in a process of its own, in turns, median "
        f"of {record['rounds']} rounds; time limit {TIMEOUT_S:.0f} s and {RETRIES} retries for all. Tunesmith checks "
        "every reply against the schema and commits it to a fresh cache file; the peers keep nothing. distilabel asks "
        "through its model class, in batches of the concurrency, as its pipeline does. CPU is user and system time of "
        "the client's process, start-up not counted. Bare sockets show what the stub can give.\n"
    )
    if "remark" in record:
        yield f"{record['remark']}\n"


def _clean(record: dict[str, Any]) -> Iterator[str]:
    n = record["requests"]
    cases = [case for case in CASES if not case.faulty]
    best = " and ".join(f"{case.best_fraction(n):.3f} at {case.concurrency}" for case in cases)
    wanted = " and ".join(f"{share} at {concurrency}" for concurrency, share in WANTED.items())
    yield "## Without faults\n"
    yield (
        "The ideal rate is concurrency ÷ latency. Since the last wave is not full, no client can exceed "
        f"{best} of it with {n:,} requests. Wanted: {wanted}.\n"
    )
    heads = [f"at {case.concurrency}: of ideal | requests/s | CPU ms" for case in cases]
    yield f"| system | version | {' | '.join(heads)} |"
    yield "|---|---|" + "---:|" * (3 * len(cases))
    for system in record["systems"]:
        cells = [cell for case in cases for cell in _rates(record["runs"][case.name][system])]
        yield f"| {TITLES[system]} | {record['versions'].get(system, '')} | {' | '.join(cells)} |"
    yield ""


def _rates(runs: Sequence[dict[str, Any]]) -> list[str]:
    if any("error" in run for run in runs):
        return ["broke", "–", "–"]
    return [
        f"{median(runs, 'of_ideal'):.3f}",
        f"{median(runs, 'requests_per_s'):,.0f}",
        f"{median(runs, 'cpu_ms'):.2f}",
    ]


def _faulty(record: dict[str, Any]) -> Iterator[str]:
    shares = ", ".join(f"{share / 10:g} % {fault.replace('_', ' ')}" for fault, share in PLAN.items())
    yield f"## One prompt in ten meets a fault, {FAULTY_CONCURRENCY} in flight\n"
    yield (
        f"On its first attempt: {shares}. A refused client is told to wait {RETRY_AFTER_S} s, a slow reply takes "
        f"{SLOW_S:.0f} s, a hang never answers. Truncated replies are JSON cut in half with `finish_reason=length`. "
        "*Junk* are replies that were handed back as good and are not what the schema asks for; *failed* rows are "
        f"reported as such. The retry policy of all allows {RETRIES + 1} attempts for a prompt.\n"
    )
    yield "| system | answered | junk | failed | lost | most attempts | attempts in all | seconds | CPU ms |"
    yield "|---|" + "---:|" * 8
    runs = record["runs"][Case(FAULTY_CONCURRENCY, faulty=True).name]
    for system in record["systems"]:
        if system in runs:
            yield f"| {TITLES[system]} | {' | '.join(_outcome(runs[system]))} |"
    yield ""


def _outcome(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Return the cells of a row: the worst round for what must not happen, the median for time."""
    if any("error" in run for run in runs):
        return ["broke", *["–"] * 7]
    return [
        f"{min(run['answered'] for run in runs):,}",
        f"{max(run['junk'] for run in runs):,}",
        f"{max(sum(run['failed'].values()) for run in runs):,}",
        f"{max(run['lost'] for run in runs):,}",
        f"{max(run['stub']['most_attempts'] for run in runs)}",
        f"{statistics.median(run['stub']['attempts'] for run in runs):,.0f}",
        f"{median(runs, 'wall_s'):.1f}",
        f"{median(runs, 'cpu_ms'):.2f}",
    ]


def _replayed(record: dict[str, Any]) -> Iterator[str]:
    runs = record["replay"]
    if not runs:
        return
    yield "## From the cache alone\n"
    yield (
        f"{runs[0]['rows']:,} rows whose replies the cache file holds, in a fresh process with the stub gone: "
        f"**{median(runs, 'rows_per_s'):,.0f} rows a second** ({median(runs, 'cpu_us'):.0f} µs of CPU a row; median of "
        f"{len(runs)}). Wanted: {WANTED_REPLAY:,}."
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--replay", type=int, default=20_000, help="rows of the cache that is replayed; 0 leaves it out"
    )
    parser.add_argument("--systems", nargs="+", choices=list(TITLES), default=list(TITLES))
    parser.add_argument("--peers-folder", type=Path, default=Path(".venv-bench-llm"), help="environments of the peers")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the record goes")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the record after every round."""
    chosen = parse(arguments)
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {
        case.name: {system: [] for system in chosen.systems if not (case.faulty and system == BARE)} for case in CASES
    }
    with tempfile.TemporaryDirectory(prefix="bench-llm-") as scratch:
        folder = Path(scratch)
        replayed = replay(folder, chosen.replay) if chosen.replay else []
        for number in range(chosen.rounds):
            with Stub(LATENCY_S) as stub:
                bench = Bench(stub, folder, chosen.peers_folder, chosen.requests)
                for case in CASES:
                    for system, found in runs[case.name].items():
                        found.append(bench.run(system, case))
                        sys.stderr.write(f"round {number + 1}, {case.name}, {system}: {_line(found[-1])}\n")
            record = {
                "machine": machine(),
                "requests": chosen.requests,
                "request_bytes": request_bytes(folder / "requests.json"),
                "rounds": number + 1,
                "systems": chosen.systems,
                "versions": versions(chosen.peers_folder, chosen.systems),
                "runs": runs,
                "replay": replayed,
            }
            write("llm_client", record, page(record), chosen.output)
    sys.stdout.write(page(record))


def request_bytes(path: Path) -> int:
    """Return the size of one prompt."""
    work = json.loads(path.read_text(encoding="utf-8"))
    return len((work["system"] + work["users"][0]).encode())


def _line(found: dict[str, Any]) -> str:
    if "error" in found:
        return found["error"].strip().rpartition("\n")[2]
    return (
        f"{found['of_ideal']:.3f} of ideal, {found['cpu_ms']:.2f} CPU ms, {found['answered']} answered, "
        f"{found['junk']} junk, {sum(found['failed'].values())} failed, {found['lost']} lost"
    )


if __name__ == "__main__":
    main()
