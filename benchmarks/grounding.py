"""The grounding check on real documents: how many corrupted answers it finds, and how many true ones it drops.

    TUNESMITH_DATA=... python -m benchmarks.grounding

True answers come from `techdocs`: passages (sections, lists, definitions), the same passages reworded (synonyms, other
order of sentences), and the summaries that authors wrote of their own documents. Each is then corrupted in one way at
a time. Writes `benchmarks/results/grounding.json` and `.md`.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.machine import cpu_s, machine, sentence
from benchmarks.records import write
from steps.rows import content_id
from steps.synthesis.chunks import Chunk, ChunkSettings, chunk_document
from steps.synthesis.claims import claims_of
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
_NUMBER = re.compile(r"(?<![\w.-])\d+(?:\.\d+)?(?![\w.]|-\d)")
_VERB = re.compile(r"\b(is|are|was|can|will|should|does|do)\b(?! not\b)")


class Answer(NamedTuple):
    """A true answer, what supports it, and where it comes from."""

    chunk: Chunk
    answer: str
    repo: str
    path: str


def collect(data: Path) -> dict[str, list[Answer]]:
    """Return the true answers of each set."""
    lines = (data / "techdocs/techdocs.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    random.Random(SEED).shuffle(rows)
    found: dict[str, list[Answer]] = {"passages": [], "summaries": []}
    for number, row in enumerate(rows):
        document = Document(row["text"], None, "markdown", SEED)
        whole = {"id": str(number), "text": row["text"], "title": None, "format": "markdown"}
        for pair in summary_pairs(document):
            context = pair.prompt.split("\n\n", 1)[1]
            chunk = Chunk("", str(number), 0, len(context), context, (), 0, False)
            found["summaries"].append(Answer(chunk, pair.answer, row["repo"], row["path"]))
        if len(found["passages"]) >= N_PASSAGES:
            continue
        pairs = [*section_pairs(document), *list_pairs(document), *definition_pairs(document)][:6]
        chunks = chunk_document(whole, ChunkSettings(max_tokens=CHUNK_TOKENS), _count).chunks if pairs else []
        for pair in pairs:
            around = next((chunk for chunk in chunks if chunk.start <= pair.start and pair.end <= chunk.end), None)
            if around is not None:
                found["passages"].append(Answer(around, pair.answer, row["repo"], row["path"]))
    found["passages"] = found["passages"][:N_PASSAGES]
    found["reworded passages"] = [one._replace(answer=reworded(one.answer)) for one in found["passages"]]
    return found


def reworded(answer: str) -> str:
    """Return an answer in other words and another order; code blocks stay."""
    parts = [answer]
    if "\n" not in answer:  # lists and several paragraphs keep their order: joined, they would be other sentences
        parts = sentences(answer)
        parts = parts[1:] + parts[:1]
    return " ".join(_WORD.sub(lambda found: SYNONYMS.get(found[0], found[0]), part) for part in parts)


def corruptions(  # noqa: C901 (one small function for each way)
    true: Sequence[Answer],
) -> dict[str, Callable[[Answer, random.Random], str | None]]:
    """Return the ways to corrupt an answer; each gives None where an answer does not lend itself to it."""
    by_repo: dict[str, list[Answer]] = defaultdict(list)
    for one in true:
        by_repo[one.repo].append(one)
    found = {name for one in true for claim in claims_of(one.answer) for name in claim.names}
    names = sorted(name for name in found if name.isalnum() and name[0].isupper())

    def other(one: Answer, rng: random.Random) -> str | None:
        found = rng.choice(true)
        return found.answer if found.repo != one.repo else None

    def neighbour(one: Answer, rng: random.Random) -> str | None:
        near = [each for each in by_repo[one.repo] if each.path != one.path]
        return rng.choice(near).answer if near else None

    def number(one: Answer, rng: random.Random) -> str | None:
        places = [found for found in _NUMBER.finditer(one.answer) if not one.answer[: found.start()].endswith("\n")]
        places = [found for found in places if not re.match(r"[.)]\s", one.answer[found.end() :])]
        if not places:
            return None
        place = rng.choice(places)
        value = _NUMBER.sub(lambda digits: str(int(float(digits[0])) + rng.choice((1, 2, 5, 10, 100))), place[0])
        return None if value in one.chunk.text else one.answer[: place.start()] + value + one.answer[place.end() :]

    def name(one: Answer, rng: random.Random) -> str | None:
        own = [each for claim in claims_of(one.answer) for each in sorted(claim.names) if each.isalnum()]
        new = rng.choice(names)
        if not own or new.casefold() in one.chunk.text.casefold():
            return None
        return re.sub(rf"(?<![\w./(]){re.escape(rng.choice(own))}(?![\w./)])", new, one.answer, count=1)

    def inserted(one: Answer, rng: random.Random) -> str | None:
        near = [each for each in by_repo[one.repo] if each.path != one.path]
        told = sentences(rng.choice(near).answer.split("\n\n")[0]) if near else []
        told = [each for each in told if len(each.split()) >= 8 and "`" not in each]
        return f"{one.answer}\n\n{rng.choice(told)}" if told else None

    def negated(one: Answer, rng: random.Random) -> str | None:
        places = list(_VERB.finditer(one.answer.split("```")[0]))
        if not places:
            return None
        place = rng.choice(places)
        return f"{one.answer[: place.end()]} not{one.answer[place.end() :]}"

    return {
        "answer of another repository": other,
        "answer of another document of the repository": neighbour,
        "a sentence of such a document added": inserted,
        "a number changed": number,
        "a name exchanged": name,
        "a verb negated": negated,
    }


def check(one: Answer, answer: str) -> tuple[str | None, float]:
    """Return the problem other than wording of an answer, or None, and the least score of its claims."""
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": answer}]
    found = ground(messages, "question_answering", one.chunk, GroundingSettings(min_score=0.0))
    return (found.drop.value if found.drop else None), (found.score if found.score is not None else 1.0)


def measure(data: Path) -> dict[str, Any]:
    """Return false alarms on each set and recall of each corruption, at each threshold."""
    true = collect(data)
    ways = corruptions(true["passages"])
    rows: dict[str, list[tuple[Answer, Any]]] = {
        f"true: {name}": [(one, one.answer) for one in answers] for name, answers in true.items()
    }
    for kind, way in ways.items():
        made = ((one, way(one, random.Random(content_id(SEED, kind, n)))) for n, one in enumerate(true["passages"]))
        rows[f"corrupted: {kind}"] = [(one, answer) for one, answer in made if answer not in {None, one.answer}]
    before = cpu_s()
    checked = {name: [check(one, answer) for one, answer in answers] for name, answers in rows.items()}
    n_checked = sum(map(len, checked.values()))
    default = GroundingSettings().min_score
    return {
        "machine": machine(),
        "default": default,
        "cpu_ms_per_pair": 1000 * (cpu_s() - before) / n_checked,
        "thresholds": {
            str(threshold): {name: _counts(found, threshold) for name, found in checked.items()}
            for threshold in sorted({*THRESHOLDS, default})
        },
    }


def _counts(found: list[tuple[str | None, float]], threshold: float) -> dict[str, Any]:
    reasons = Counter(drop or "unsupported_wording" for drop, score in found if drop or score < threshold)
    return {"n": len(found), "dropped": sum(reasons.values()), "reasons": dict(reasons.most_common())}


def page(result: dict[str, Any]) -> str:
    """Write the tables."""
    chosen = result["thresholds"][str(result["default"])]
    lines = [
        "# Grounding without a model",
        "",
        f"`python -m benchmarks.grounding` on {sentence(result['machine'])}. Documents: techdocs, in chunks of "
        f"{CHUNK_TOKENS} words and marks. {result['cpu_ms_per_pair']:.1f} ms of CPU a pair.",
        "",
        f"At the default `min_score` of {result['default']:g}:",
        "",
        "| answers | n | dropped | reasons |",
        "|---|---:|---:|---|",
    ]
    for name, counts in chosen.items():
        reasons = ", ".join(f"{reason} {n}" for reason, n in counts["reasons"].items())
        lines.append(f"| {name} | {counts['n']:,} | {_share(counts)} | {reasons} |")
    lines += ["", "Share dropped at other thresholds (0: numbers, names and negations alone decide):", ""]
    lines += [f"| answers | {' | '.join(result['thresholds'])} |", f"|---|{'---:|' * len(result['thresholds'])}"]
    for name in chosen:
        shares = [_share(found[name]) for found in result["thresholds"].values()]
        lines.append(f"| {name} | {' | '.join(shares)} |")
    lines += [
        "",
        "A wrong answer in the words of the text (other roles, another order of events) has nothing that these checks "
        "could see: that is what the grounding judge is for. True summaries hold figures and names "
        "that their own document lacks; such drops are counted as false alarms here all the same.",
    ]
    return "\n".join(lines) + "\n"


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
