"""Our rules under datatrove's thresholds against datatrove's four filters: speed, and agreement rule by rule.

    python -m benchmarks.filters --peers-python PEERS/bin/python [--input TEXTS.jsonl] [--results FOLDER]

The peer runs in an environment of its own (`pip install datatrove spacy nltk`), which needs no network. Both sides see
the same texts in one run; speed is texts per CPU second (user + system) of one process, the median of three.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import machine
from benchmarks.records import RESULTS, write
from steps.filtering.audit import find
from steps.filtering.batch import Batch
from steps.filtering.engine import beyond
from steps.filtering.rules import FilteringSettings, active_rules, apply_filters
from steps.rows import EXAMPLES, messages_id, table

PEER = Path(__file__).with_name("filters_peer.py")
#: The families that hold the rules of datatrove's four filters; turn structure and length are ours.
SHARED = ("repetition", "quality", "web_page")
#: Rules that datatrove asks as one.
TOGETHER = {"too_many_hashes": "too_many_hashes_or_ellipses", "too_many_ellipses": "too_many_hashes_or_ellipses"}
FILTERS = {
    "GopherQualityFilter": (
        "too_few_document_words", "too_many_document_words", "words_too_short", "words_too_long",
        "too_many_hashes_or_ellipses", "too_many_bullet_lines", "too_many_ellipsis_lines",
        "too_few_alphabetic_words", "too_few_stop_words",
    ),
    "GopherRepetitionFilter": (
        "repeated_lines", "repeated_line_characters", "repeated_paragraphs", "repeated_paragraph_characters",
        *(f"top_{n}_gram_dominates" for n in (2, 3, 4)), *(f"repeated_{n}_grams" for n in range(5, 11)),
    ),
    "FineWebQualityFilter": (
        "too_few_lines_end_sentences", "too_many_short_lines", "repeated_full_line_characters", "too_many_line_breaks",
    ),
    "C4QualityFilter": ("too_few_sentences", "lorem_ipsum", "curly_bracket"),
}  # fmt: skip


def main() -> None:
    """Measure both sides and write `benchmarks/results/filters.{json,md}`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers-python", required=True, help="Python of an environment with datatrove and spacy.")
    parser.add_argument("--input", type=Path, help="JSONL or Parquet with a column `text`; default: the made corpus.")
    parser.add_argument("--rows", type=int, default=20_000, help="Texts that our rules are timed on.")
    parser.add_argument("--compared", type=int, default=1_000, help="Texts that both sides decide on.")
    parser.add_argument("--peer-timed", type=int, default=500, help="Texts that the peer is timed on.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="Folder of `filters.json` and `filters.md`.")
    chosen = parser.parse_args()
    texts = read_texts(chosen.input, chosen.rows)
    compared = texts[: chosen.compared]
    peer = ask_peer(chosen.peers_python, compared, chosen.peer_timed)
    ours = measure(texts, texts[: chosen.peer_timed])
    record = {
        "machine": machine.machine(),
        "texts": {
            "from": chosen.input.name if chosen.input else "benchmarks.corpus",
            "n_timed": len(texts),
            "n_compared": len(compared),
            "mean_characters": round(statistics.mean(map(len, texts))),
        },
        "ours": ours,
        "peer": {"version": peer["version"], "docs_per_cpu_s": peer["n_timed"] / statistics.median(peer["cpu_s"])},
        **agreement(compared, peer),
    }
    record["times_faster"] = ours["every_rule_docs_per_cpu_s"] / record["peer"]["docs_per_cpu_s"]
    record["stage_times_faster"] = ours["same_texts_docs_per_cpu_s"] / record["peer"]["docs_per_cpu_s"]
    page = render(record)
    write("filters", record, page, chosen.results)
    sys.stdout.write(page)


def read_texts(path: Path | None, rows: int) -> list[str]:
    """Return the first texts of a file, or of the made corpus; blank ones are left out, which datatrove fails on."""
    if path is None:
        from benchmarks.corpus import corpus

        found = corpus(rows)["text"].to_pylist()
    elif path.suffix == ".parquet":
        found = pq.read_table(path, columns=["text"])["text"].to_pylist()
    else:
        lines = path.read_text(encoding="utf-8").split("\n")
        found = [json.loads(line)["text"] for line in lines if line]
    return [text for text in found if text.strip()][:rows]


def as_examples(texts: list[str]) -> pa.Table:
    """Return a table of one assistant turn a row."""
    rows = []
    for number, text in enumerate(texts):
        messages = [{"role": "assistant", "content": text}]
        origin = {"kind": "imported", "source": "benchmark", "path": "texts", "row": number, "group_id": str(number)}
        rows.append({"id": messages_id(messages, number), "messages": messages, **origin})
    return table(rows, EXAMPLES)


def settings() -> FilteringSettings:
    """Return the preset with datatrove's thresholds."""
    return FilteringSettings.model_validate({"preset": "web_gopher", "max_drop_fraction": 1})


def decide(examples: pa.Table) -> int:
    """Ask every family that datatrove has too about every text, as the peer's four filters are asked; return the drops.

    In a run of ours a row that one family drops is spared the next, which a text of the peer's timing is not.
    """
    batch = Batch(examples)
    drops = 0
    for name, rule, chosen in active_rules(settings()):
        if name in SHARED:
            outcome = rule(batch, chosen)
            dropped = np.zeros(batch.n_rows, np.bool_)
            dropped[[failure.position for failure in outcome.failures]] = True
            for measure in outcome.measures:
                dropped |= np.logical_or(*beyond(measure))
            drops += int(dropped.sum())
    return drops


def measure(texts: list[str], same: list[str]) -> dict[str, float]:
    """Time the whole stage, ledger and all, on all texts and again on those that the peer was timed on."""
    chosen = settings()
    whole = as_examples(texts)
    again = as_examples(same * max(1, 8_192 // len(same)))  # a full batch, as a run has
    apply_filters(again.slice(0, 10), chosen)  # compiles
    return {
        "docs_per_cpu_s": len(texts) / _cpu_s(lambda: apply_filters(whole, chosen)),
        "every_rule_docs_per_cpu_s": again.num_rows / _cpu_s(lambda: decide(again)),
        "same_texts_docs_per_cpu_s": again.num_rows / _cpu_s(lambda: apply_filters(again, chosen)),
        "kept": apply_filters(whole, chosen).kept.num_rows / len(texts),
    }


def _cpu_s(work: Any) -> float:
    seconds = []
    for _ in range(3):
        begin = time.process_time()
        work()
        seconds.append(time.process_time() - begin)
    return statistics.median(seconds)


def ask_peer(python: str, texts: list[str], n_timed: int) -> dict[str, Any]:
    """Run the peer's filters in its own environment."""
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder, "texts.jsonl"), Path(folder, "answer.json")
        given.write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
        subprocess.run([python, str(PEER), str(given), str(answer), str(n_timed)], check=True)
        found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def agreement(texts: list[str], peer: dict[str, Any]) -> dict[str, Any]:
    """Return, per rule and per filter, the share of texts on which both sides decide alike."""
    rules = [rule for rule in active_rules(settings()) if rule.name in SHARED]
    ours: dict[str, np.ndarray] = {}
    for (_, reason), mask in find(as_examples(texts), rules, 0).failed.items():
        name = TOGETHER.get(reason, reason)
        ours[name] = ours.get(name, np.zeros(len(texts), bool)) | mask
    missing = np.zeros(len(texts), bool)
    by_rule = [{"rule": name, **_compared(ours.get(name, missing), theirs)} for name, theirs in peer["rules"].items()]
    by_filter = []
    for name, theirs in peer["filters"].items():
        dropped = np.logical_or.reduce([ours.get(rule, missing) for rule in FILTERS[name]])
        by_filter.append({"filter": name, **_compared(dropped, theirs)})
    return {"rules": by_rule, "filters": by_filter}


def _compared(ours: np.ndarray, theirs: list[bool | None]) -> dict[str, Any]:
    """Compare where the peer answers; it fails on a text without any word."""
    answered = np.array([answer is not None for answer in theirs])
    dropped = np.array([bool(answer) for answer in theirs])
    return {
        "agreement": float((ours == dropped)[answered].mean()),
        "peer_drops": int(dropped[answered].sum()),
        "we_drop": int(ours[answered].sum()),
        "only_peer": np.flatnonzero(dropped & ~ours & answered)[:5].tolist(),
        "only_we": np.flatnonzero(ours & ~dropped & answered)[:5].tolist(),
        "peer_failed": int((~answered).sum()),
    }


def render(record: dict[str, Any]) -> str:
    """Render the record as Markdown."""
    texts, host = record["texts"], record["machine"]
    lines = [
        "# Quality filters: our rules and datatrove's",
        "",
        f"Machine: {machine.sentence(host)}. {texts['n_timed']:,} texts of {texts['from']}, "
        f"{texts['mean_characters']:,} characters on average. Speed is per CPU second of one process, the median of "
        "three, on the same texts. Made by `python -m benchmarks.filters`.",
        "",
        "| | documents per CPU second | times datatrove |",
        "|---|---|---|",
        f"| datatrove {record['peer']['version']}, its four filters on every text | "
        f"{record['peer']['docs_per_cpu_s']:,.0f} | 1 |",
        "| **ours, the rules of these four on every text** | "
        f"{record['ours']['every_rule_docs_per_cpu_s']:,.0f} | **{record['times_faster']:,.0f} ×** |",
        "| ours, the stage as it runs: preset `web_gopher`, secrets and ledger, dropped rows spared what follows | "
        f"{record['ours']['same_texts_docs_per_cpu_s']:,.0f} | {record['stage_times_faster']:,.0f} × |",
        f"| the same, all {texts['n_timed']:,} texts | {record['ours']['docs_per_cpu_s']:,.0f} | |",
        "",
        f"Agreement over {texts['n_compared']:,} texts; every rule is asked by datatrove's own code.",
        "",
        "| filter | agreement | it drops | we drop |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row['filter']} | {row['agreement']:.2%} | {row['peer_drops']:,} | {row['we_drop']:,} |"
        for row in record["filters"]
    ]
    lines += ["", "| rule | agreement | it drops | we drop |", "|---|---|---|---|"]
    lines += [
        f"| {row['rule']} | {row['agreement']:.2%} | {row['peer_drops']:,} | {row['we_drop']:,} |"
        for row in record["rules"]
    ]
    lines += [
        "",
        "Where the two differ, the tokens do: datatrove asks spaCy, whose English tokenizer has lists of emoticons, "
        "abbreviations and units that ours leaves out, and takes a sentence of Chinese or Japanese for one word.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
