"""How much data a fine-tuning task usually takes, and whether a data set is in that range.

The ranges are orders of magnitude from published results (named with each), for models of 3 to 20 billion parameters.
Larger models need fewer examples for the same task, smaller ones more: LIMA reached with 1,000 examples at 65 billion
parameters what Alpaca used 52,000 for at 7 billion. That trend is the reason for `SIZE_FACTORS`; the factors themselves
are a cautious reading of it, no measurement. Whatever a range says: a held-out test decides, and diverse, correct
examples move it more than their number does.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

TaskType = Literal[
    "style", "classification", "extraction", "domain_qa", "instruction_following", "reasoning", "continued_pretraining"
]

LIMA = "Zhou et al. 2023, LIMA (arXiv:2305.11206): 1,000 examples at 65B"
ALPACA = "Taori et al. 2023, Alpaca: 52,000 examples at 7B"


class Range(NamedTuple):
    """What a task usually takes, for a model of 3 to 20 billion parameters.

    Attributes:
        low: Below it, published models of this kind are exceptions.
        high: Above it, more of the same hardly helps.
        sources: Where the figures come from.
        help_below: What helps when there is less than `low`.
        help_above: What helps when there is more than `high`.
        per_parameter: Whether the range counts tokens per parameter of the model instead of rows.
    """

    low: float
    high: float
    sources: tuple[str, ...]
    help_below: str
    help_above: str
    per_parameter: bool = False


RANGES: dict[TaskType, Range] = {
    "style": Range(
        100,
        1_000,
        (LIMA,),
        "write more examples of the wanted form by hand, few but faultless",
        "keep the most diverse thousand; a form is learnt from few examples, and many of one form unlearn others",
    ),
    "classification": Range(
        200,
        10_000,
        (
            "Le Scao & Rush 2021 (arXiv:2103.08493): a prompt is worth hundreds of labelled points",
            "Liu et al. 2022, T-Few (arXiv:2205.05638): 50 examples a task at 11B",
        ),
        "label more rows of the rarest classes, and compare with a prompt that shows examples",
        "balance the classes (curation.mix) rather than adding rows",
    ),
    "extraction": Range(
        500,
        50_000,
        ("Zhou et al. 2023, UniversalNER (arXiv:2308.03279): 45,889 examples at 7B and 13B",),
        "add rows of every kind of entity, and rows in which there is nothing to extract",
        "look for kinds of documents that are missing; more of the same kind adds little",
    ),
    "domain_qa": Range(
        1_000,
        50_000,
        (
            "Ovadia et al. 2023 (arXiv:2312.05934): facts are learnt from several wordings of each",
            "Gekhman et al. 2024 (arXiv:2405.05904): many unknown facts make a model invent more",
        ),
        "make several questions from each passage (curation.synthesise.max_pairs_per_document), or retrieve passages "
        "at question time instead",
        "measure invented answers; retrieval serves facts that change better than training does",
    ),
    "instruction_following": Range(
        1_000,
        200_000,
        (LIMA, ALPACA, "Ivison et al. 2023, Tülu 2 (arXiv:2311.10702): 326,154 examples at 7B to 70B"),
        "mix in a public instruction data set by weight (curation.mix), which keeps what the model can already do",
        "raise the bar of the judge (curation.judge.min_score) and keep the diverse part",
    ),
    "reasoning": Range(
        1_000,
        400_000,
        (
            "Muennighoff et al. 2025, s1 (arXiv:2501.19393): 1,000 examples at 32B",
            "Yu et al. 2023, MetaMath (arXiv:2309.12284): 395,000 examples at 7B to 70B",
            "Cobbe et al. 2021, GSM8K (arXiv:2110.14168): 7,473 training problems",
        ),
        "add worked solutions whose results can be checked, several ways for each problem",
        "drop what the model already solves; hard problems teach more",
    ),
    "continued_pretraining": Range(
        1,
        20,
        (
            "Hoffmann et al. 2022, Chinchilla (arXiv:2203.15556): 20 tokens a parameter from scratch",
            "Azerbayev et al. 2023, Llemma (arXiv:2310.10631): 200 billion tokens at 7B",
        ),
        "make question and answer rows of the documents instead: so little text teaches form, not knowledge",
        "mix in general text so that the model keeps what it knew",
        per_parameter=True,
    ),
}

#: Parameters of the largest model of the class, its name, and the factor on the bounds of rows.
SIZE_FACTORS = ((3e9, "small (below 3B)", 2.0), (20e9, "medium (3B to 20B)", 1.0), (math.inf, "large (from 20B)", 0.5))

#: Kinds that synthesis makes of documents; an evolved row's kind has `+` and the operation behind it.
_FROM_DOCUMENTS = {
    "summary",
    "list",
    "definition",
    "code",
    "question_answering",
    "extraction",
    "multi_turn",
    "reasoning",
}


def advise(
    task: TaskType, n_parameters: int | None, n_rows: int | None = None, n_tokens: int | None = None
) -> dict[str, Any]:
    """Return the recommended range, and where a data set stands in it.

    Args:
        task: What the model shall learn.
        n_parameters: Of the base model; None takes the medium class.
        n_rows: Different training rows; None gives the range alone.
        n_tokens: Of the training rows, for continued pre-training.

    Returns:
        `task`, `n_parameters`, `model_size`, `unit`, `low`, `high`, `have`, `verdict` (below, within, above, unknown),
        `advice`, `sources`.
    """
    found = RANGES[task]
    size, factor = next((name, factor) for most, name, factor in SIZE_FACTORS if (n_parameters or 7e9) < most)
    scale = (n_parameters or 0) if found.per_parameter else factor
    unit = "tokens" if found.per_parameter else "rows"
    low, high = (round(bound * scale) for bound in (found.low, found.high))
    have = n_tokens if found.per_parameter else n_rows
    known = have is not None and (n_parameters is not None or not found.per_parameter)
    verdict = (
        "unknown" if not known or have is None else "below" if have < low else "above" if have > high else "within"
    )
    advice = {"below": found.help_below, "above": found.help_above}.get(verdict, "a held-out test decides")
    return {
        "task": task,
        "n_parameters": n_parameters,
        "model_size": size if n_parameters else "medium (assumed)",
        "unit": unit,
        "low": low,
        "high": high,
        "have": have,
        "verdict": verdict,
        "advice": advice,
        "sources": list(found.sources),
    }


def said(advice: dict[str, Any]) -> str:
    """Return an advice as one line for the terminal."""
    line = f"{advice['task']}, {advice['model_size']} model: {advice['low']:,} to {advice['high']:,} {advice['unit']}"
    if advice["verdict"] == "unknown":
        return line
    return f"{line}; there are {advice['have']:,}: {advice['verdict']} the range; {advice['advice']}"


def task_of(kinds: Iterable[str]) -> TaskType:
    """Guess the task from the kinds of the rows: made from documents, they ask about a domain."""
    present = {kind.partition("+")[0] for kind in kinds}
    return "domain_qa" if present & _FROM_DOCUMENTS and len(present - _FROM_DOCUMENTS) == 0 else "instruction_following"


def parameters_of(model: Path) -> int | None:
    """Count the parameters of a model directory from the headers of its safetensors files; None without any."""
    files = sorted(model.glob("*.safetensors"))
    total = 0
    for file in files:
        with file.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        tensors = (tensor for name, tensor in header.items() if name != "__metadata__")
        total += sum(math.prod(tensor["shape"]) for tensor in tensors)
    return total or None


def parameters_named(name: str) -> int | None:
    """Read the number of parameters off a model's name.

    >>> [parameters_named(name) for name in ("HuggingFaceTB/SmolLM2-135M-Instruct", "org/model-1.5b", "tiny")]
    [135000000, 1500000000, None]
    """
    found = re.findall(r"(?<![\w.])(\d+(?:\.\d+)?)([mb])(?![a-z0-9])", name.rsplit("/", 1)[-1].lower())
    if not found:
        return None
    number, unit = found[-1]
    return round(float(number) * {"m": 1e6, "b": 1e9}[unit])
