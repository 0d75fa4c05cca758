"""The grounding check on real documents: how many corrupted answers it finds, and how many true ones it drops.

    TUNESMITH_DATA=... python -m benchmarks.grounding

True answers come from `techdocs`: passages (sections, lists, definitions), the same passages reworded (synonyms, other
order of sentences), and the summaries that authors wrote of their own documents. Each is then corrupted in one way at
a time. What real models wrote from other texts is held out, see `grounding_held_out`. Writes
`benchmarks/results/grounding.json` and `.md`.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.grounding_corruptions import Answer, Corruption, Corruptor
from benchmarks.grounding_held_out import evidence, judged_answers, named_share, questions, tool_replies, unread
from benchmarks.machine import cpu_s, machine, sentence
from benchmarks.records import write
from steps.rows import content_id
from steps.synthesis.chunks import ChunkSettings, chunk_document
from steps.synthesis.definitions import definition_pairs
from steps.synthesis.generation_settings import GroundingSettings
from steps.synthesis.grounding import ground
from steps.synthesis.lists import list_pairs
from steps.synthesis.pairs import Document
from steps.synthesis.passages import section_pairs
from steps.synthesis.sentences import sentences
from steps.synthesis.summaries import summary_pairs

SEED = 11
N_PASSAGES = 1_500
PAIRS_PER_DOCUMENT = 6
#: A share of fewer answers says nothing.
MIN_SHOWN = 10
CHUNK_TOKENS = 600
THRESHOLDS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
#: Words for words: about every tenth word of technical prose is among them.
SYNONYMS = {
    "use": "employ", "uses": "employs", "used": "employed", "using": "employing", "show": "display",
    "shows": "displays", "create": "build", "creates": "builds", "need": "require", "needs": "requires",
    "allow": "permit", "allows": "permits", "set": "define", "run": "execute", "runs": "executes", "want": "wish",
    "provides": "offers", "provide": "offer", "make": "produce", "makes": "produces", "get": "obtain",
    "gets": "obtains", "start": "begin", "starts": "begins", "check": "verify", "checks": "verifies", "add": "append",
    "adds": "appends", "change": "alter", "changes": "alters", "large": "big", "small": "little", "fast": "quick",
    "new": "fresh", "different": "distinct", "example": "instance", "simple": "plain", "help": "assist",
    "helps": "assists", "find": "locate", "finds": "locates", "give": "supply", "gives": "supplies", "keep": "retain",
    "keeps": "retains", "support": "handle", "supports": "handles", "contains": "holds", "contain": "hold",
    "specify": "state", "specifies": "states", "following": "subsequent", "multiple": "several",
    "default": "standard", "way": "manner",
}  # fmt: skip
_WORD = re.compile(r"(?<![\w`./-])[a-z]+(?![\w`./-])")


def collect(data: Path) -> dict[str, list[Answer]]:
    """Return the true answers of each set."""
    lines = (data / "techdocs/techdocs.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    random.Random(SEED).shuffle(rows)
    passages: list[Answer] = []
    summaries: list[Answer] = []
    for number, row in enumerate(rows):
        document = Document(row["text"], None, "markdown", SEED)
        for pair in summary_pairs(document):
            chunk = evidence(pair.prompt.split("\n\n", 1)[1])
            summaries.append(Answer(chunk, pair.answer, row["repo"], row["path"]))
        if len(passages) < N_PASSAGES:
            passages += _passages(document, str(number), row)
    passages = passages[:N_PASSAGES]
    again = [one._replace(answer=reworded(one.answer)) for one in passages]
    return {"passages": passages, "summaries": summaries, "reworded passages": again}


def _passages(document: Document, document_id: str, row: dict[str, Any]) -> list[Answer]:
    pairs = [*section_pairs(document), *list_pairs(document), *definition_pairs(document)][:PAIRS_PER_DOCUMENT]
    whole = {"id": document_id, "text": row["text"], "title": None, "format": "markdown"}
    chunks = chunk_document(whole, ChunkSettings(max_tokens=CHUNK_TOKENS), _count).chunks if pairs else []
    found = []
    for pair in pairs:
        around = next((chunk for chunk in chunks if chunk.start <= pair.start and pair.end <= chunk.end), None)
        if around is not None:
            found.append(Answer(around, pair.answer, row["repo"], row["path"]))
    return found


def reworded(answer: str) -> str:
    """Return an answer in other words and another order; code blocks stay."""
    parts = [answer]
    if "\n" not in answer:  # lists and several paragraphs keep their order: joined, they would be other sentences
        parts = sentences(answer)
        parts = parts[1:] + parts[:1]
    return " ".join(_WORD.sub(lambda found: SYNONYMS.get(found[0], found[0]), part) for part in parts)


def check(one: Answer, answer: str) -> tuple[str | None, float]:
    """Return the problem other than wording of an answer, or None, and the least score of its claims."""
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": answer}]
    found = ground(messages, "question_answering", one.chunk, GroundingSettings(min_score=0.0))
    return (found.drop.value if found.drop else None), (found.score if found.score is not None else 1.0)


def corrupted(true: Sequence[Answer], ways: dict[str, Corruption]) -> dict[str, list[tuple[Answer, str]]]:
    """Return the answers that each way makes of true ones, where it makes another."""
    found = {}
    for kind, way in ways.items():
        made = ((one, way(one, random.Random(content_id(SEED, kind, n)))) for n, one in enumerate(true))
        found[f"corrupted: {kind}"] = [(one, answer) for one, answer in made if answer not in {None, one.answer}]
    return found


def on_documents(data: Path) -> dict[str, list[tuple[Answer, str]]]:
    """Return true and corrupted passages of documents."""
    true = collect(data)
    rows = {f"true: {name}": [(one, one.answer) for one in answers] for name, answers in true.items()}
    return rows | corrupted(true["passages"], Corruptor(true["passages"]).ways())


def held_out(data: Path) -> dict[str, list[tuple[Answer, str]]]:
    """Return what real models wrote: true answers, the same corrupted, and answers that nothing supports."""
    accepted, refused = judged_answers(data)
    tuned = [one for number, one in tool_replies(data) if number % 2 == 0]
    reported = [one for number, one in tool_replies(data) if number % 2]
    asked = [one for number, one in questions(data) if number % 2]
    true = {
        "answers about a passage that people accepted (seen while tuning)": accepted,
        "replies to a tool's result (half that was tuned on)": tuned,
        "replies to a tool's result (held out)": reported,
        "questions about a manual's page (held out)": asked,
    }
    rows: dict[str, list[tuple[Answer, str]]] = {}
    for name, answers in true.items():
        rows[f"{name}: true"] = [(one, one.answer) for one in answers]
        maker = Corruptor(answers)
        ways = {"of another text": maker.other, "a number changed": maker.number, "a name exchanged": maker.name}
        rows |= {f"{name}: {kind.removeprefix('corrupted: ')}": made for kind, made in corrupted(answers, ways).items()}
    rows["answers about a passage that people refused, for whatever reason"] = [(one, one.answer) for one in refused]
    for name, answers in unread(data).items():
        rows[f"peer's {name} against the nearest extract"] = [(one, one.answer) for one in answers]
    return {name: made for name, made in rows.items() if len(made) >= MIN_SHOWN}


def measure(data: Path) -> dict[str, Any]:
    """Return false alarms on each set and recall of each corruption, at each threshold."""
    found: dict[str, Any] = {"machine": machine(), "default": GroundingSettings().min_score}
    for name, rows in (("documents", on_documents(data)), ("held_out", held_out(data))):
        before = cpu_s()
        checked = {kind: [check(one, answer) for one, answer in made] for kind, made in rows.items()}
        n_checked = sum(map(len, checked.values()))
        found[name] = {
            "cpu_ms_per_pair": 1000 * (cpu_s() - before) / n_checked,
            "thresholds": {
                str(threshold): {kind: _counts(made, threshold) for kind, made in checked.items()}
                for threshold in sorted({*THRESHOLDS, found["default"]})
            },
        }
    found["named_share"] = {name: named_share(answers) for name, answers in unread(data).items()}
    return found


def _counts(found: list[tuple[str | None, float]], threshold: float) -> dict[str, Any]:
    reasons = Counter(drop or "unsupported_wording" for drop, score in found if drop or score < threshold)
    return {"n": len(found), "dropped": sum(reasons.values()), "reasons": dict(reasons.most_common())}


def page(result: dict[str, Any]) -> str:
    """Write the tables."""
    documents, real = result["documents"], result["held_out"]
    named = " and ".join(f"{share:.1%} of the {name}" for name, share in result["named_share"].items())
    lines = [
        "# Grounding without a model",
        "",
        f"`python -m benchmarks.grounding` on {sentence(result['machine'])}.",
        "",
        "## Documents, which the check was tuned on",
        "",
        f"techdocs, in chunks of {CHUNK_TOKENS} words and marks. {documents['cpu_ms_per_pair']:.1f} ms of CPU a pair.",
        "",
        *_tables(documents["thresholds"], result["default"]),
        "A wrong answer in the words of the text (other roles, another order of events) has nothing that these checks "
        "could see: that is what the grounding judge is for. True summaries hold figures and names "
        "that their own document lacks; such drops are counted as false alarms here all the same.",
        "",
        "## What real models wrote",
        "",
        f"{real['cpu_ms_per_pair']:.1f} ms of CPU a pair. Passages, with what people said of the answers: "
        "openinstruct-humaneval, the tasks whose answer is to be found in the prompt (several models wrote "
        "them). Acceptable is not the same as supported: some accepted answers add what the passage does not say. "
        "Tool results: llamafactory-demo, by whether the number of the conversation is odd. Questions, since there are "
        "no answers: zenml-llm-guide-qa, odd rows, against their own page.",
        "",
        "The rows of llm-eng-handbook name no article. Undoing the peer's shuffle puts the five of an extract side by "
        "side, but of some eighty that were read none speaks of what its article is about, preferred answers mention "
        f"fishery and novels, and only {named} name anything besides AI and language models: "
        "the generator did not keep to its extracts. So there are no true answers here. Each is held against the "
        "extract that is nearest by TF-IDF, which is hardest for a check, and nearly every drop is right.",
        "",
        *_tables(real["thresholds"], result["default"]),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _tables(thresholds: dict[str, Any], default: float) -> list[str]:
    chosen = thresholds[str(default)]
    lines = [
        f"At the default `min_score` of {default:g}:",
        "",
        "| answers | n | dropped | reasons |",
        "|---|---:|---:|---|",
    ]
    for name, counts in chosen.items():
        reasons = ", ".join(f"{reason} {n}" for reason, n in counts["reasons"].items())
        lines.append(f"| {name} | {counts['n']:,} | {_share(counts)} | {reasons} |")
    lines += ["", "Share dropped at other thresholds (0: numbers, names and negations alone decide):", ""]
    lines += [f"| answers | {' | '.join(thresholds)} |", f"|---|{'---:|' * len(thresholds)}"]
    for name in chosen:
        shares = [_share(found[name]) for found in thresholds.values()]
        lines.append(f"| {name} | {' | '.join(shares)} |")
    return [*lines, ""]


def _share(counts: dict[str, Any]) -> str:
    return f"{counts['dropped'] / counts['n']:.1%}" if counts["n"] else "–"


def _count(texts: list[str]) -> list[int]:
    return [len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]


def main() -> None:
    """Measure and write the results."""
    folder = os.environ.get("TUNESMITH_DATA")
    if not folder:
        sys.exit("set TUNESMITH_DATA to the folder of real data sets")
    result = measure(Path(folder))
    write("grounding", result, page(result))


if __name__ == "__main__":
    main()
