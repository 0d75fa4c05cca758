"""How well the defect score finds broken answers: held-out instructions, and a generator that it never saw.

    TUNESMITH_DATA=FOLDER python -m benchmarks.defect_score [--rows 800] [--results FOLDER]

Whole answers are those of public instruction sets, which are taken for whole; broken ones are copies broken on purpose
(`steps/judging/defect_corruptions.py`). `held out` is the cross-fit that a run makes of its own rows. `unseen` trains
on the answers of one generator and scores whole and broken answers of another one, to other instructions.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.records import RESULTS, write
from steps.judging.defect_corruptions import Corruption
from steps.judging.defect_score import BUNDLED_EMBEDDER, DefectSettings, Row, defect_scores, transfer
from steps.judging.embedder import load_embedder
from steps.rows import content_id

SEEDS = (7, 8, 9)
HANDBOOK, ROLEPLAY, CODE = "llm-eng-handbook", "gpteacher-roleplay", "gpteacher-code"
HUMAN = "openinstruct-humaneval"
#: What the sets are.
SETS = {
    ROLEPLAY: "gpteacher, role-play part: GPT-4",
    CODE: "gpteacher, code part: GPT-4",
    HANDBOOK: "llm-eng-handbook, training part: questions on articles, by a GPT-4 model",
    f"{HUMAN}/chatgpt": "open-instruct's human evaluation: ChatGPT",
    f"{HUMAN}/tulu_7B": "the same instructions: Tulu 7B, which breaks off or loops now and then",
    f"{HUMAN}/tulu_65B": "the same instructions: Tulu 65B, likewise",
}
#: Trained on, measured on. Where both answer the same instructions, each takes another half of them.
UNSEEN = (
    (ROLEPLAY, HANDBOOK),
    (HANDBOOK, ROLEPLAY),
    (f"{HUMAN}/chatgpt", f"{HUMAN}/tulu_7B"),
    (f"{HUMAN}/chatgpt", f"{HUMAN}/tulu_65B"),
)


def main() -> None:
    """Measure and write `benchmarks/results/defect_score.{json,md}`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("TUNESMITH_DATA"), help="Folder of the public sets."
    )
    parser.add_argument("--rows", type=int, default=800, help="Answers of each set, a seeded choice.")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--results", type=Path, default=RESULTS, help="Folder of `defect_score.{json,md}`.")
    chosen = parser.parse_args()
    if chosen.data is None:
        parser.error("name the folder of the public sets with --data or TUNESMITH_DATA")
    sets = {name: some(rows, chosen.rows) for name, rows in read(chosen.data).items()}
    record = {
        "machine": machine.machine(),
        "sets": {name: {"n": len(rows), "what": SETS[name]} for name, rows in sets.items()},
        "settings": DefectSettings().model_dump(),
        "seeds": list(chosen.seeds),
        **measure(sets, chosen.seeds),
    }
    page = render(record)
    write("defect_score", record, page, chosen.results)
    sys.stdout.write(page)


def read(data: Path) -> dict[str, list[Row]]:
    """Read every set as rows; answers that are blank are left out."""
    sets: dict[str, list[Row]] = {}
    for name, file in (
        (ROLEPLAY, "Roleplay/roleplay-simple-deduped-roleplay-instruct.json"),
        (CODE, "Codegen/codegen-instruct.json"),
    ):
        found = json.loads((data / "gpteacher" / file).read_text(encoding="utf-8"))
        asked = [(f"{row['instruction']}\n\n{row['input']}".strip(), row["response"]) for row in found]
        sets[name] = rows_of(asked)
    handbook = json.loads((data / HANDBOOK / "artifacts/instruct_datasets.json").read_text(encoding="utf-8"))
    samples = [one for part in handbook["train"].values() for one in part["samples"]]
    sets[HANDBOOK] = rows_of([(one["instruction"], one["answer"]) for one in samples])
    lines = (data / HUMAN / "data/eval_instances_tulu_1.jsonl").read_text(encoding="utf-8").splitlines()
    for model in ("chatgpt", "tulu_7B", "tulu_65B"):
        sets[f"{HUMAN}/{model}"] = rows_of(
            [
                (row["prompt"], one["completion"])
                for row in map(json.loads, lines)
                for one in row["completions"]
                if one["model"] == model
            ]
        )
    return sets


def rows_of(asked: list[tuple[str, str]]) -> list[Row]:
    """Return each distinct pair once; answers to one prompt are one group."""
    return [
        Row(content_id(prompt, answer), content_id(prompt), prompt, answer)
        for prompt, answer in dict.fromkeys(asked)
        if answer.strip()
    ]


def some(rows: list[Row], most: int) -> list[Row]:
    """Return a choice that does not depend on the order."""
    return sorted(rows, key=lambda row: content_id("chosen", row.row_id))[:most]


def halves(learned: list[Row], unseen: list[Row]) -> tuple[list[Row], list[Row]]:
    """Return the rows of both sets so that no prompt is in both."""
    shared = {row.group_id for row in learned} & {row.group_id for row in unseen}
    first = {group for group in shared if int(content_id("half", group), 16) % 2}
    return (
        [row for row in learned if row.group_id not in shared - first],
        [row for row in unseen if row.group_id not in first],
    )


def measure(sets: dict[str, list[Row]], seeds: list[int]) -> dict[str, Any]:
    """Return the reports of each set and pair: medians over seeds, with and without the cosine."""
    embed = load_embedder(BUNDLED_EMBEDDER, DefectSettings().embedder_max_length_tokens)
    cache: dict[str, Any] = {}

    def embed_once(texts: list[str]) -> Any:
        missing = [text for text in texts if text not in cache]
        cache.update(zip(missing, embed(missing) if missing else [], strict=True))
        return np.array([cache[text] for text in texts])

    found: dict[str, Any] = {"held_out": {}, "unseen": {}}
    started = machine.cpu_s()
    for name, rows in sets.items():
        found["held_out"][name] = {
            kind: over_seeds([defect_scores(rows, DefectSettings(), seed, used).report for seed in seeds])
            for kind, used in (("with_cosine", embed_once), ("signals_alone", None))
        }
    for learned, unseen in UNSEEN:
        train, test = halves(sets[learned], sets[unseen])
        found["unseen"][f"{learned} -> {unseen}"] = {
            "n_learned": len(train),
            "n_unseen": len(test),
            **{
                kind: over_seeds([transfer(train, test, DefectSettings(), seed, used) for seed in seeds])
                for kind, used in (("with_cosine", embed_once), ("signals_alone", None))
            },
        }
    return {**found, "cpu_s": round(machine.cpu_s() - started, 1)}


def over_seeds(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Return, per kind of damage, medians over the seeds."""
    kinds = [kind for kind in ("all", *Corruption) if all(kind in report["kinds"] for report in reports)]
    return {
        str(kind): {
            key: round(statistics.median(report["kinds"][kind][key] for report in reports), 4)
            for key in ("n", "auc", "recall_at_5_percent_false_alarms")
        }
        for kind in kinds
    }


def render(record: dict[str, Any]) -> str:
    """Return the page."""
    parts = {f"held out: {name}": one for name, one in record["held_out"].items()}
    parts |= {f"unseen: {name}": one for name, one in record["unseen"].items()}
    kinds = ["all", *map(str, Corruption)]
    lines = [
        "# The defect score on real answers",
        "",
        machine.sentence(record["machine"]),
        "",
        f"Medians over the seeds {', '.join(map(str, record['seeds']))}. `AUC` is the area under the ROC curve of "
        "whole against broken answers. Real answers are taken for whole; some are not (the Tulu models break off), "
        "which counts against the detector.",
        "",
        "| set | answers | whose |",
        "|---|---|---|",
        *(f"| {name} | {one['n']} | {one['what']} |" for name, one in record["sets"].items()),
        "",
        "## Area under the curve",
        "",
        "| measured on | with cosine | signals alone |",
        "|---|---|---|",
        *(
            f"| {name} | {one['with_cosine']['all']['auc']:.3f} | {one['signals_alone']['all']['auc']:.3f} |"
            for name, one in parts.items()
        ),
        "",
        "## Recall at 5 % false alarms, with cosine",
        "",
        f"| measured on | {' | '.join(kinds)} |",
        f"|---|{'---|' * len(kinds)}",
        *(
            f"| {name} | {' | '.join(cell(one['with_cosine'], kind) for kind in kinds)} |"
            for name, one in parts.items()
        ),
        "",
        "These are figures of damage and none of quality: by what tells broken answers apart, people's preference "
        "cannot be told, so the score is refused for preference pairs and win rates.",
        "",
    ]
    return "\n".join(lines)


def cell(found: dict[str, Any], kind: str) -> str:
    return f"{found[kind]['recall_at_5_percent_false_alarms']:.2f}" if kind in found else "–"


if __name__ == "__main__":
    main()
