"""Answers that real models wrote, each with the text that it was to be made from; half of them is left for the report.

Where people or the form of the data say that an answer follows from its text, drops are false alarms. Where the data
say that it cannot, they are finds.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.grounding_corruptions import Answer
from steps.synthesis.chunks import Chunk
from steps.synthesis.claims import Statement
from steps.synthesis.sentences import sentences

#: Tasks of `openinstruct-humaneval` whose answer is to be found in the prompt: extraction, summaries, tables,
#: rewriting, and questions about a passage.
PASSAGE_TASKS = frozenset({0, 6, 28, 80, 98, 102, 157, 159, 160, 162, 175, 176, 179, 181, 191, 212, 213, 247})
MIN_PASSAGE_WORDS = 60
#: Longest extract of an article, as the peer that made `llm-eng-handbook` cut them.
EXTRACT_CHARACTERS = 2_000


def evidence(text: str) -> Chunk:
    """Return a text as a chunk."""
    return Chunk("", "", 0, len(text), text, (), 0, False)


def judged_answers(data: Path) -> tuple[list[Answer], list[Answer]]:
    """Return several models' answers about a passage: those that most people found acceptable, and the others."""
    from openpyxl import load_workbook

    sheet = load_workbook(data / "openinstruct-humaneval/data/eval_annotations_tulu_1.xlsx", read_only=True).active
    head, *rows = sheet.iter_rows(values_only=True)
    votes: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    for row in (dict(zip(head, values, strict=True)) for values in rows):
        task = re.fullmatch(r"user_oriented_task_(\d+)", str(row["instance_id"]))
        if task is None or int(task[1]) not in PASSAGE_TASKS or len(row["prompt"].split()) < MIN_PASSAGE_WORDS:
            continue
        for side in "ab":
            key = (task[1], row["prompt"], row[f"completion_{side}"])
            votes[key].append(row[f"completion_{side}_is_acceptable"] == "yes")
    found: tuple[list[Answer], list[Answer]] = ([], [])
    for (task_id, prompt, answer), said in votes.items():
        found[2 * sum(said) <= len(said)].append(Answer(evidence(prompt), answer, task_id, task_id))
    return found


def tool_replies(data: Path) -> Iterator[tuple[int, Answer]]:
    """Yield what an assistant said to the result of a tool, which supports it, with the conversation's number."""
    rows = json.loads((data / "llamafactory-demo/glaive_toolcall_en_demo.json").read_text(encoding="utf-8"))
    for number, row in enumerate(rows):
        turns = row["conversations"]
        for at in range(2, len(turns) - 1):
            if (turns[at]["from"], turns[at + 1]["from"]) == ("observation", "gpt"):
                asked = [turn["value"] for turn in turns[:at] if turn["from"] == "human"][-2:]
                text = "\n\n".join([*asked, turns[at]["value"]])
                yield number, Answer(evidence(text), turns[at + 1]["value"], str(number), str(number))


def questions(data: Path) -> Iterator[tuple[int, Answer]]:
    """Yield the questions that a model asked about pages of a manual, with the row's number: there are no answers."""
    lines = (data / "zenml-llm-guide-qa/test_dataset.json").read_text(encoding="utf-8").splitlines()
    for number, row in enumerate(map(json.loads, lines)):
        yield number, Answer(evidence(row["anchor"]), row["positive"], row["filename"], row["filename"])


def unread(data: Path) -> dict[str, list[Answer]]:
    """Return the peer's answers to nothing, each with the extract of an article that is nearest to it by TF-IDF.

    The rows name no article. Undoing the peer's shuffle (scikit-learn's split with seed 42) puts the five questions of
    each extract side by side again; they speak of AI and writing in general, or of fishery, and never of the article.
    """
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    folder = data / "llm-eng-handbook/artifacts"
    articles = json.loads((folder / "cleaned_documents.json").read_text(encoding="utf-8"))["artifact_data"]
    extracts = [extract for article in articles for extract in _extracts(article["content"])]
    made = {
        "instruction rows": sorted({row["answer"] for row in _samples(folder / "instruct_datasets.json")}),
        "preferred answers": sorted({row["chosen"] for row in _samples(folder / "preference_datasets.json")}),
    }
    vectors = TfidfVectorizer(stop_words="english", sublinear_tf=True).fit(extracts)
    known = vectors.transform(extracts)
    found = {}
    for name, answers in made.items():
        nearest = np.asarray((vectors.transform(answers) @ known.T).argmax(axis=1)).ravel()
        found[name] = [
            Answer(evidence(extracts[at]), answer, str(at), str(at))
            for at, answer in zip(nearest, answers, strict=True)
        ]
    return found


def named_share(answers: list[Answer]) -> float:
    """Return the share of answers that name anything at all besides AI and language models."""
    common = {"AI", "LLM", "LLMs", "Twin", "Twins"}
    return sum(bool(Statement(one.answer).names - common) for one in answers) / len(answers)


def _samples(path: Path) -> Iterator[dict[str, Any]]:
    sets = json.loads(path.read_text(encoding="utf-8"))
    for split in ("train", "test"):
        for category in sets[split].values():
            yield from category["samples"]


def _extracts(text: str) -> Iterator[str]:
    current = ""
    for sentence in sentences(text):
        if current and len(current) + len(sentence) > EXTRACT_CHARACTERS:
            yield current
            current = ""
        current = f"{current} {sentence}".strip()
    if current:
        yield current
