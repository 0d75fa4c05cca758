"""What synthesis made, measured: coverage, diversity, complexity, accuracy by proxy, and whether it is enough."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean, quantiles
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from steps.dedup.documents import Document
from steps.dedup.minhash import MinHashSettings, near_duplicates
from steps.filtering.words import normalise, words
from steps.ledger import count_dropped, reasons
from steps.llm.usage import usage_of
from steps.mixing.guidance import TaskType, advise, said, task_of
from steps.rows import prompt_and_answer
from steps.synthesis.diversity import diversity_of, share
from steps.synthesis.evolution import complexity_of
from steps.synthesis.generate import Generated
from steps.synthesis.synthesise import SynthesisSettings
from steps.tables import batches_of

#: How near-duplicate instructions are found: three words in a row are few enough for a short question.
_NEAR = MinHashSettings(key="instruction", threshold=0.8, shingle_words=3, min_answer_overlap=None)
_STEP = re.compile(
    r"^\s*(?:\d+[.)]|step \d+|first\b|then\b|next\b|finally\b|therefore\b|[-*] )", re.IGNORECASE | re.MULTILINE
)
#: Bounds of the warnings. Measured on five public sets: repeated instructions are 0 to 3 % of four of them and 25 % of
#: llm-eng-handbook, which is bad for it; the commonest first word begins 11 % (self-instruct seeds, by people) to 21 %
#: of the varied ones, and 45 and 54 % of the two that ask in one form only (GPTeacher role-play, questions on ZenML).
#: The share of grounded pairs lies below the 80 % or so that the check keeps of good answers
#: (benchmarks/results/grounding.md). The other two are choices. Below 50 rows, shares are chance.
MIN_ROWS_TO_WARN = 50
MAX_KIND_SHARE, MAX_FIRST_WORD_SHARE, MAX_DUPLICATE_SHARE = 0.8, 0.4, 0.1
MIN_DOCUMENT_SHARE, MIN_GROUNDED_SHARE = 0.5, 0.7
#: An answer of so many step-like lines takes several steps.
MIN_STEPS = 3


def report_on(
    documents: pa.Table,
    examples: pa.Table,
    made: Generated | None,
    settings: SynthesisSettings,
    task: TaskType | None = None,
    n_parameters: int | None = None,
) -> dict[str, Any]:
    """Measure what synthesis made.

    Args:
        documents: Schema `DOCUMENTS`.
        examples: Schema `EXAMPLES`, all rows that were made of them.
        made: What generation gave; None where it is off.
        settings: Seed of the samples, and whether the spread of embeddings is measured.
        task: What the model shall learn; None guesses it from the kinds.
        n_parameters: Of the base model; None takes a medium one.

    Returns:
        `n_examples`, `coverage`, `kinds`, `diversity`, `length`, `duplicates`, `complexity`, `accuracy`, `guidance`,
        `warnings`, and with generation `requests`, `usage`.
    """
    asked, answers = _texts(examples)
    kinds = Counter(examples["kind"].to_pylist())
    report: dict[str, Any] = {
        "n_examples": examples.num_rows,
        "n_generated": made.examples.num_rows if made else 0,
        "coverage": _coverage(documents, examples, made),
        "kinds": dict(kinds.most_common()),
        "diversity": diversity_of(asked, settings),
        "length": {"instruction_words": _spread_of(asked), "answer_words": _spread_of(answers)},
        "duplicates": _duplicates(asked, answers),
        "complexity": _complexity(asked, answers, examples),
        "accuracy": _accuracy(made),
    }
    chosen = task or task_of(kinds)
    report["guidance"] = advise(chosen, n_parameters, examples.num_rows)
    if made is not None:
        report["requests"] = {
            "n_requests": made.generate_ledger.num_rows,
            "n_without_pair": count_dropped(made.generate_ledger),
            "reasons": reasons(made.generate_ledger),
        }
        report["usage"] = usage_of(pa.concat_tables([made.generations, made.judgements]))
    report["warnings"] = warnings_of(report)
    return report


def _texts(examples: pa.Table) -> tuple[list[str], list[str]]:
    """Return the last request and the last answer of each row, a repeated chunk cut off the request."""
    asked, answers = [], []
    for batch in batches_of(examples.select(["messages"])):
        for messages in batch["messages"].to_pylist():
            prompt, answer = prompt_and_answer(messages)
            asked.append(prompt[-1]["content"].split("\n\n", 1)[0])
            answers.append(answer)
    return asked, answers


def _coverage(documents: pa.Table, examples: pa.Table, made: Generated | None) -> dict[str, Any]:
    n_documents = documents.num_rows
    n_used = pc.count_distinct(examples["document_id"]).as_py()
    found: dict[str, Any] = {"n_documents": n_documents, "n_used_documents": n_used}
    found["document_share"] = n_used / n_documents if n_documents else None
    if made is not None:
        totals = {
            name: sum(counts[name] for counts in made.chunks.values())
            for name in (
                "n_chunks",
                "n_asked_chunks",
                "n_cut_blocks",
                "n_too_short",
                "n_characters",
                "n_asked_characters",
            )
        }
        n_giving = pc.count_distinct(made.examples["chunk_id"]).as_py()
        found |= {**totals, "n_giving_chunks": n_giving}
        found["chunk_share"] = n_giving / totals["n_chunks"] if totals["n_chunks"] else None
        found["character_share"] = share(totals["n_asked_characters"], totals["n_characters"])
    return found


def _spread_of(texts: Sequence[str]) -> dict[str, float] | None:
    lengths = [len(words(text)) for text in texts]
    if not lengths:
        return None
    cuts = quantiles(lengths, n=20, method="inclusive") if len(lengths) > 1 else [float(lengths[0])] * 19
    return {"mean": mean(lengths), "p05": cuts[0], "p50": cuts[9], "p95": cuts[18], "max": float(max(lengths))}


def _duplicates(asked: Sequence[str], answers: Sequence[str]) -> dict[str, Any]:
    """Return how many rows repeat an earlier one: dedup drops them later, here they tell how the generator varies."""
    documents = [Document(normalise(one), normalise(other), "") for one, other in zip(asked, answers, strict=True)]
    return {
        "n_equal_rows": len(documents) - len(set(documents)),
        "n_equal_instructions": len(documents) - len({one.instruction for one in documents}),
        "n_near_instructions": len(near_duplicates(documents, _NEAR).duplicates),
        "near_threshold": _NEAR.threshold,
    }


def _complexity(asked: Sequence[str], answers: Sequence[str], examples: pa.Table) -> dict[str, Any]:
    n = len(asked)
    n_evolved = n - examples["derived_from"].null_count
    return {
        "mean_complexity": mean(map(complexity_of, asked)) if n else None,
        "multi_step_share": share(sum(len(_STEP.findall(answer)) >= MIN_STEPS for answer in answers), n),
        "multi_turn_share": share(sum(len(one) > 2 for one in examples["messages"].to_pylist()), n),
        "evolved_share": share(n_evolved, n),
    }


def _accuracy(made: Generated | None) -> dict[str, Any] | None:
    """Return the share of generated pairs that their chunk supports: a proxy, since words can agree by chance."""
    if made is None or not made.ground_ledger.num_rows:
        return None
    ledger = made.ground_ledger
    n_dropped = count_dropped(ledger)
    return {
        "n_checked": ledger.num_rows,
        "grounded_share": 1 - n_dropped / ledger.num_rows,
        "reasons": reasons(ledger),
        "n_judged": made.judgements.num_rows,
    }


def warnings_of(report: Mapping[str, Any]) -> list[str]:
    """Say what of the figures should make one look: each with the figure, the bound and what helps."""
    found = []
    n = report["n_examples"]
    if report["guidance"]["verdict"] in {"below", "above"}:
        found.append(f"quantity: {said(report['guidance'])}")
    kinds, duplicates = report["kinds"], report["duplicates"]
    if n >= MIN_ROWS_TO_WARN:
        kind, most = next(iter(kinds.items()))
        if most > MAX_KIND_SHARE * n:
            found.append(f"diversity: {most / n:.0%} of the rows are of kind {kind}; give other kinds more weight")
        word, n_word = next(iter(report["diversity"]["first_words"].items()))
        if n_word > MAX_FIRST_WORD_SHARE * n:
            found.append(
                f"diversity: {n_word / n:.0%} of the instructions begin with “{word}”; set personas, examples of your "
                "own (few_shot_path) or a higher temperature"
            )
        n_repeated = max(duplicates["n_equal_instructions"], duplicates["n_near_instructions"])
        if n_repeated > MAX_DUPLICATE_SHARE * n:
            found.append(
                f"diversity: {n_repeated / n:.0%} of the instructions repeat an earlier one; ask for fewer pairs of a "
                "chunk (pairs_per_chunk) or set personas"
            )
    coverage, accuracy = report["coverage"], report["accuracy"]
    if coverage["document_share"] is not None and coverage["document_share"] < MIN_DOCUMENT_SHARE:
        found.append(f"coverage: only {coverage['document_share']:.0%} of the documents gave a row; see the ledger")
    if accuracy is not None and accuracy["grounded_share"] < MIN_GROUNDED_SHARE:
        found.append(
            f"accuracy: the texts support {accuracy['grounded_share']:.0%} of the generated pairs; take a stronger "
            "generator, or smaller chunks"
        )
    return found
