"""How well the defect score finds broken answers: held-out instructions, and a generator that it never saw.

    TUNESMITH_DATA=FOLDER python -m benchmarks.defect_score [--rows 400] [--seeds 7 8 9] [--results FOLDER]

Whole answers are those of public instruction sets, which are taken for whole; broken ones are copies broken on purpose
(`steps/judging/defect_corruptions.py`). `held out` trains on one half of a set's instructions and measures on the
other. `unseen` trains on the answers of one generator and measures on those of another one, to other instructions.
The detector's signals and classifier were chosen on other sets.
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
from steps.judging.defect_score import BUNDLED_EMBEDDER, DefectSettings, Row, transfer
from steps.judging.embedder import load_embedder
from steps.rows import content_id

SEEDS = (7, 8, 9)
HANDBOOK, ROLEPLAY = "llm-eng-handbook", "gpteacher-roleplay"
HUMAN = "openinstruct-humaneval"
#: What the sets are.
SETS = {
    ROLEPLAY: "gpteacher, role-play part: GPT-4",
    HANDBOOK: "llm-eng-handbook, training part: questions on articles, by a GPT-4 model",
    f"{HUMAN}/chatgpt": "open-instruct's human evaluation: ChatGPT",
    f"{HUMAN}/tulu_7B": "the same instructions: Tulu 7B",
    f"{HUMAN}/tulu_65B": "the same instructions: Tulu 65B",
}
#: Trained on, measured on. Where both answer the same instructions, each takes another half of them.
UNSEEN = (
    (ROLEPLAY, HANDBOOK),
    (HANDBOOK, ROLEPLAY),
    (f"{HUMAN}/chatgpt", f"{HUMAN}/tulu_7B"),
    (f"{HUMAN}/chatgpt", f"{HUMAN}/tulu_65B"),
)
ACCEPTED, LONG = "accepted", "over_80_characters"
#: Below this an answer such as `Yes.` is whole or broken by what was asked only.
_SHORT_CHARACTERS = 80


def main() -> None:
    """Measure and write `benchmarks/results/defect_score.{json,md}`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("TUNESMITH_DATA"), help="Folder of the public sets."
    )
    parser.add_argument("--rows", type=int, default=400, help="Answers of each set, a seeded choice.")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--results", type=Path, default=RESULTS, help="Folder of `defect_score.{json,md}`.")
    chosen = parser.parse_args()
    if chosen.data is None:
        parser.error("name the folder of the public sets with --data or TUNESMITH_DATA")
    sets = {name: some(rows, chosen.rows) for name, rows in read(chosen.data).items()}
    accepted = accepted_rows(chosen.data)
    record = {
        "machine": machine.machine(),
        "sets": {name: {"n": len(rows), "what": SETS[name]} for name, rows in sets.items()},
        "settings": DefectSettings().model_dump(),
        "seeds": list(chosen.seeds),
        **measure(sets, accepted, chosen.seeds),
    }
    page = render(record)
    write("defect_score", record, page, chosen.results)
    sys.stdout.write(page)


def read(data: Path) -> dict[str, list[Row]]:
    """Read every set as rows; answers that are blank are left out."""
    sets: dict[str, list[Row]] = {}
    roleplay = "gpteacher/Roleplay/roleplay-simple-deduped-roleplay-instruct.json"
    found = json.loads((data / roleplay).read_text(encoding="utf-8"))
    sets[ROLEPLAY] = rows_of([(f"{row['instruction']}\n\n{row['input']}".strip(), row["response"]) for row in found])
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


def accepted_rows(data: Path) -> set[str]:
    """Return the ids of the answers that every person who was asked called acceptable."""
    from openpyxl import load_workbook

    sheet = load_workbook(data / HUMAN / "data/eval_annotations_tulu_1.xlsx", read_only=True).active
    header, *lines = sheet.iter_rows(values_only=True)
    said: dict[str, set[str | None]] = {}
    for line in (dict(zip(header, values, strict=True)) for values in lines):
        for side in ("a", "b"):
            if isinstance(line["prompt"], str) and isinstance(line[f"completion_{side}"], str):
                row_id = content_id(line["prompt"], line[f"completion_{side}"])
                said.setdefault(row_id, set()).add(line[f"completion_{side}_is_acceptable"])
    return {row_id for row_id, verdicts in said.items() if verdicts == {"yes"}}


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


def measure(sets: dict[str, list[Row]], accepted: set[str], seeds: list[int]) -> dict[str, Any]:
    """Return the reports of each set and pair, with and without the cosine, and of parts of the whole answers."""
    embed = load_embedder(BUNDLED_EMBEDDER, DefectSettings().embedder_max_length_tokens)
    cache: dict[str, Any] = {}

    def embed_once(texts: list[str]) -> Any:
        missing = [text for text in texts if text not in cache]
        cache.update(zip(missing, embed(missing) if missing else [], strict=True))
        return np.array([cache[text] for text in texts])

    found: dict[str, Any] = {"held_out": {}, "unseen": {}}
    pairs = [(name, name) for name in sets] + list(UNSEEN)
    for learned, unseen in pairs:
        train, test = halves(sets[learned], sets[unseen])
        where, name = ("held_out", learned) if learned == unseen else ("unseen", f"{learned} -> {unseen}")
        parts = {LONG: {row.row_id for row in test if len(row.answer.strip()) > _SHORT_CHARACTERS}}
        if unseen.startswith(HUMAN):
            parts[ACCEPTED] = {row.row_id for row in test} & accepted
            parts[f"{ACCEPTED}_{LONG}"] = parts[LONG] & accepted
        full = [transfer(train, test, DefectSettings(), seed, embed_once, parts) for seed in seeds]
        alone = [transfer(train, test, DefectSettings(), seed, None) for seed in seeds]
        found[where][name] = {
            "n_learned": len(train),
            "n_measured": len(test),
            "with_cosine": over_seeds(full),
            "signals_alone": over_seeds(alone),
            "within": {
                part: {"n_measured": len(ids), **over_seeds([one["within"][part] for one in full])}
                for part, ids in parts.items()
            },
        }
        sys.stderr.write(f"{where} {name}: {found[where][name]['with_cosine']['all']}\n")
    return found


def over_seeds(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Return, per kind of damage, medians over the seeds, and of the area also the least and the greatest."""
    kinds = [kind for kind in ("all", *Corruption) if all(kind in report["kinds"] for report in reports)]
    return {
        str(kind): {
            **{
                key: round(statistics.median(report["kinds"][kind][key] for report in reports), 4)
                for key in ("n", "auc", "recall_at_5_percent_false_alarms")
            },
            "auc_range": [round(pick(report["kinds"][kind]["auc"] for report in reports), 4) for pick in (min, max)],
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
        f"Seeds: {', '.join(map(str, record['seeds']))}; figures are medians over them, with the least and the "
        "greatest in brackets. `AUC` is the area under the ROC curve of whole against broken answers.",
        "",
        "Signals and classifier were chosen on three other sources (an English preference set's chosen answers, "
        "GPT-4's code instructions, people's dialogues); an earlier detector's recall by kind on the sets below "
        "and a look at how their answers end showed where to look. No setting was chosen by the figures "
        "below. What is usual (words, their order, last words, other prompts) is counted in the measured set itself, "
        "as it stands and without labels; a text and what it was made from never count for it. An answer is never cut "
        "at the end of a sentence or line, where the rest would still be an answer.",
        "",
        "| set | answers | whose |",
        "|---|---|---|",
        *(f"| {name} | {one['n']} | {one['what']} |" for name, one in record["sets"].items()),
        "",
        "## Area under the curve",
        "",
        "Real answers are taken for whole, and nothing is left out in the first two columns. `over 80` measures on "
        f"whole answers of more than {_SHORT_CHARACTERS} characters and their broken copies. `accepted` measures on "
        "answers that every person who was asked called acceptable in the human evaluation, and their broken copies, "
        "so that an answer that is itself cut off does not stand for a whole one; the number of whole answers is in "
        "brackets. What the detector learns from is the same in all columns.",
        "",
        "| measured on | with cosine | signals alone | over 80 | accepted | accepted, over 80 |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {area(one['with_cosine'])} | {one['signals_alone']['all']['auc']:.3f} "
            f"| {' | '.join(part(one, of) for of in (LONG, ACCEPTED, f'{ACCEPTED}_{LONG}'))} |"
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
        "A run's detector learns from broken copies of the run's own rows, which is what `held out` measures; `unseen` "
        "says how far it carries.",
        "",
        "These are figures of damage and none of quality: by what tells broken answers apart, people's preference "
        "cannot be told, so the score is refused for preference pairs and win rates.",
        "",
    ]
    return "\n".join(lines)


def area(found: dict[str, Any]) -> str:
    low, high = found["all"]["auc_range"]
    return f"{found['all']['auc']:.3f} [{low:.3f}, {high:.3f}]"


def part(found: dict[str, Any], name: str) -> str:
    one = found["within"].get(name)
    return f"{one['all']['auc']:.3f} ({one['n_measured']})" if one else "–"


def cell(found: dict[str, Any], kind: str) -> str:
    return f"{found[kind]['recall_at_5_percent_false_alarms']:.2f}" if kind in found else "–"


if __name__ == "__main__":
    main()
