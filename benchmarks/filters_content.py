"""The content checks on real answers: rows per CPU-second, what they drop, and how much of what is wrong they find.

    TUNESMITH_DATA=... python -m benchmarks.filters_content

Writes `benchmarks/results/filters_content.json` and `.md`.
"""

from __future__ import annotations

import json
import os
import random
import re
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.machine import cpu_s, machine, sentence
from benchmarks.records import write
from steps.filtering.arithmetic import ArithmeticSettings, wrong_arithmetic, wrong_sums
from steps.filtering.batch import Batch, Outcome
from steps.filtering.code_syntax import ALIASES, syntax_error
from steps.filtering.formats import FormatSettings, broken_formats
from steps.filtering.languages import LanguageSettings, unwanted_languages
from steps.filtering.markdown_blocks import fenced_blocks
from steps.filtering.maths import MathsSettings, broken_maths
from steps.filtering.personal_data import PersonalDataSettings, personal_data
from steps.filtering.secrets import SecretSettings, secrets
from steps.filtering.toxicity import ToxicitySettings, toxic
from steps.rows import EXAMPLES, messages_id, table

ROUNDS = 3

FAMILIES: dict[str, tuple[Callable[[Batch, Any], Outcome], Any]] = {
    "formats": (broken_formats, FormatSettings()),
    "maths": (broken_maths, MathsSettings()),
    "arithmetic": (wrong_arithmetic, ArithmeticSettings()),
    "languages": (unwanted_languages, LanguageSettings(allowed=("en",))),
    "secrets": (secrets, SecretSettings()),
    "personal_data": (personal_data, PersonalDataSettings()),
    "toxicity": (toxic, ToxicitySettings()),
}

Pairs = list[tuple[str, str]]


def corpora(data: Path) -> dict[str, Pairs]:
    """Return (prompt, answer) pairs of each data set."""
    code = json.loads((data / "gpteacher/Codegen/codegen-instruct.json").read_text())
    roles = json.loads((data / "gpteacher/Roleplay/roleplay-simple-deduped-roleplay-instruct.json").read_text())
    preferences = json.loads((data / "llamafactory-demo/dpo_en_demo.json").read_text())
    return {
        "gpteacher code": [(f"{row['instruction']}\n{row['input']}", row["response"]) for row in code],
        "gpteacher roles": [(f"{row['instruction']}\n{row['input']}", row["response"]) for row in roles],
        "gsm8k": [(row["question"], row["answer"]) for row in _lines(data / "gsm8k-train/train.jsonl")],
        "oasst": [pair for tree in _lines(data / "oasst-en100/en_100_tree.jsonl") for pair in _replies(tree["prompt"])],
        "tulu outputs": [
            (row["prompt"], completion["completion"])
            for row in _lines(data / "openinstruct-humaneval/data/eval_instances_tulu_1.jsonl")
            for completion in row["completions"]
        ],
        "dpo chosen": [(row["conversations"][-1]["value"], row["chosen"]["value"]) for row in preferences],
    }


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    yield from map(json.loads, path.read_text().splitlines())


def _replies(message: dict[str, Any], asked: str | None = None) -> Iterator[tuple[str, str]]:
    if message["role"] == "assistant" and asked is not None:
        yield asked, message["text"]
    for reply in message.get("replies", []):
        yield from _replies(reply, message["text"])


def examples(pairs: Pairs, source: str) -> pa.Table:
    """Return pairs as a table of schema `EXAMPLES`."""
    rows = []
    for number, (prompt, answer) in enumerate(pairs):
        messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
        names = {"kind": "imported", "source": source, "path": source, "row": number, "group_id": f"{source}-{number}"}
        rows.append({"id": messages_id(messages, f"{source}-{number}"), "messages": messages, **names})
    return table(rows, EXAMPLES)


def rates(tables: dict[str, pa.Table]) -> dict[str, Any]:
    """Return, per family, rows per CPU-second over all data sets and what it did in each."""
    measured: dict[str, Any] = {}
    for family, (rule, settings) in FAMILIES.items():
        rule(Batch(tables["oasst"]), settings)  # loads what is loaded once a process
        seconds, outcomes = [], {}
        for _ in range(ROUNDS):
            used = 0.0
            for name, rows in tables.items():
                batch = Batch(rows)
                before = cpu_s()
                outcomes[name] = rule(batch, settings)
                used += cpu_s() - before
            seconds.append(used)
        measured[family] = {
            "rows_per_cpu_s": round(sum(rows.num_rows for rows in tables.values()) / statistics.median(seconds)),
            "dropped": {name: len(outcome.failures) for name, outcome in outcomes.items()},
            "remarked": {name: len(outcome.remarks) for name, outcome in outcomes.items()},
        }
    return measured


def arithmetic_recall(answers: list[str]) -> dict[str, float]:
    """Return how many changed results are found: in annotations, and in the sentences without the annotations."""
    settings, generator = ArithmeticSettings(), random.Random(0)
    found, total = Counter[str](), 0
    for answer in answers:
        results = list(re.finditer(r"<<[^<>=]+=(\d+)>>\d+", answer))
        if not results or any(wrong_sums(answer, settings)):
            continue
        result = generator.choice(results)
        changed = str(abs(int(result[1]) + generator.choice([-10, -3, -2, -1, 1, 2, 3, 10])))
        if changed == result[1]:
            continue
        total += 1
        annotated = answer[: result.start(1)] + changed + answer[result.end(1) :]
        bare = [re.sub(r"<<[^<>]*>>", "", part) for part in (answer[: result.start()], answer[result.end() :])]
        found["annotations"] += any(wrong_sums(annotated, settings))
        found["sentences"] += any(wrong_sums(changed.join(bare), settings))
    return {"changed": total, **{form: round(count / total, 4) for form, count in found.items()}}


def syntax(data: Path) -> dict[str, dict[str, int]]:
    """Return, per language, the closed fences of the technical documents and how many do not parse."""
    counts: dict[str, Counter[str]] = {}
    for row in _lines(data / "techdocs/techdocs.jsonl"):
        for block in fenced_blocks(row["text"]):
            language = ALIASES.get(block.language)
            if language is not None and block.closed:
                count = counts.setdefault(language, Counter())
                count["blocks"] += 1
                count["whole files only"] += syntax_error(language, block.content, fragments=False) is not None
                count["with fragments"] += syntax_error(language, block.content) is not None
    return {language: dict(count) for language, count in sorted(counts.items())}


def page(result: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    names = list(result["rows"])
    lines = [
        "# Content checks on real answers",
        "",
        f"`python -m benchmarks.filters_content` on {sentence(result['machine'])}. Medians of {ROUNDS} rounds over "
        f"{sum(result['rows'].values()):,} rows; user and system time. Default settings, with English as the only "
        "language allowed.",
        "",
        "| family | rows per CPU-second | " + " | ".join(f"{name} ({result['rows'][name]:,})" for name in names) + " |",
        "|---|---:|" + "---:|" * len(names),
    ]
    for family, found in result["families"].items():
        cells = [f"{found['dropped'][name] or found['remarked'][name]}" for name in names]
        lines.append(f"| {family} | {found['rows_per_cpu_s']:,} | " + " | ".join(cells) + " |")
    recall = result["arithmetic_recall"]
    lines += [
        "",
        "The columns hold rows dropped; of `secrets` and `personal_data`, rows masked.",
        "",
        f"Arithmetic: of {recall['changed']:,} solutions of GSM8K in which one result was changed, "
        f"{recall['annotations']:.1%} fall by their annotations, and {recall['sentences']:.1%} by their sentences when "
        "all annotations are taken out.",
        "",
        "## Code blocks of technical documents that do not parse",
        "",
        "| language | blocks | fragments accepted (default) | whole files only |",
        "|---|---:|---:|---:|",
    ]
    for language, count in result["syntax"].items():
        lines.append(f"| {language} | {count['blocks']} | {count['with fragments']} | {count['whole files only']} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the results."""
    folder = os.environ.get("TUNESMITH_DATA")
    if not folder:
        sys.exit("set TUNESMITH_DATA to the folder of real data sets")
    data = Path(folder)
    pairs = corpora(data)
    result = {
        "machine": machine(),
        "rows": {name: len(rows) for name, rows in pairs.items()},
        "families": rates({name: examples(rows, name) for name, rows in pairs.items()}),
        "arithmetic_recall": arithmetic_recall([answer for _, answer in pairs["gsm8k"]]),
        "syntax": syntax(data),
    }
    write("filters_content", result, page(result))


if __name__ == "__main__":
    main()
