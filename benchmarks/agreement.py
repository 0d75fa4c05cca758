"""How far saved judges and real people agree, by the report that `tunesmith calibrate report` makes.

    TUNESMITH_DATA=FOLDER python -m benchmarks.agreement

FOLDER holds `llmbar-natural` (100 pairs with a label that its authors agreed on, and saved verdicts of three models
with several prompts, in both orders) and `openinstruct-humaneval` (preferences of 16 people, 121 pairs judged by two).
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.agreement_page import render
from benchmarks.machine import machine
from benchmarks.records import write
from steps.errors import InputError
from steps.judging.agreement import agreement
from steps.judging.agreement_figures import AgreementSettings, column_of, view_of
from steps.judging.labels import Label
from steps.judging.saved_verdicts import Judged
from steps.judging.weights import credits_of, decide, majority_preference

SETTINGS = AgreementSettings()
#: The prompt of each model that stands in the first table: the plain one. All others stand in the second.
PLAIN = "Vanilla"
#: Juries of three: every model with the plain prompt; the two weaker models, one of them twice.
JURIES = {
    "GPT-4, ChatGPT, LLaMA2": ("GPT-4/Vanilla", "ChatGPT/Vanilla", "LLaMA2/Vanilla"),
    "ChatGPT, LLaMA2, ChatGPT with ratings": ("ChatGPT/Vanilla", "LLaMA2/Vanilla", "ChatGPT/Rating"),
}
#: Labels that weights are learned from in the holdout, and how often it is drawn.
N_LEARNED, N_DRAWS = 50, 400
SCORES = {
    "a-is-better": 1.0,
    "a-is-slightly-better": 1.0,
    "tie": 0.5,
    "b-is-slightly-better": 0.0,
    "b-is-better": 0.0,
}


def main() -> None:
    """Run the report on both sets and write `benchmarks/results/agreement.{json,md}`."""
    folder = os.environ.get("TUNESMITH_DATA")
    if not folder:
        raise InputError(
            "TUNESMITH_DATA is not set; it names the folder with llmbar-natural and openinstruct-humaneval"
        )
    labels, judges = llmbar(Path(folder))
    record: dict[str, Any] = {"machine": machine(), "llmbar": llmbar_record(labels, judges)}
    record["people"] = people_record(Path(folder))
    page = render(record)
    write("agreement", record, page)
    sys.stdout.write(page)


def llmbar(data: Path) -> tuple[list[Label], list[Judged]]:
    """Return the labels and every saved judge, named `model/prompt`."""
    root = data / "llmbar-natural" / "LLMBar" / "Natural"
    labels = [
        Label(
            item_id=str(number),
            annotator="authors",
            value=2.0 - row["label"],
            order="ab",
            criteria={},
            source="llmbar",
            kind="natural",
            texts=(row["output_1"], row["output_2"]),
            place=f"dataset.json, row {number}",
        )
        for number, row in enumerate(json.loads((root / "dataset.json").read_text(encoding="utf-8")))
    ]
    paths = sorted((root / "evaluators").glob("*/*/result.json"))
    return labels, [_saved_judge(path) for path in paths]


def _saved_judge(path: Path) -> Judged:
    """Read a saved judge. A `winner` is the number of the answer in the file, also where the answers were swapped."""
    name = "/".join(path.parts[-3:-1])
    judged = Judged(name, name)
    for number, row in enumerate(json.loads(path.read_text(encoding="utf-8"))):
        found = row["results"][-1]  # before it may stand what the prompt asked for first: metrics, a reference
        for side, order in ((judged.ab, "swap = False"), (judged.ba, "swap = True")):
            winner = found[order]["winner"]
            if winner in {"1", "2"}:
                side[str(number)] = 2.0 - int(winner)
            else:
                judged.n_unscored += 1
    return judged


def llmbar_record(labels: Sequence[Label], judges: Sequence[Judged]) -> dict[str, Any]:
    """Return the reports of single judges and of juries."""
    by_name = {judge.name: judge for judge in judges}
    plain = [by_name[name] for name in by_name if name.endswith(f"/{PLAIN}")]
    prompts = [_short(agreement(labels, [judge], SETTINGS).report["judges"][0]) for judge in judges]
    return {
        "plain": agreement(labels, plain, SETTINGS).report,
        "prompts": prompts,
        "juries": [_jury(labels, name, [by_name[member] for member in members]) for name, members in JURIES.items()],
    }


def _short(judge: dict[str, Any]) -> dict[str, Any]:
    kept = {name: judge[name] for name in ("judge", "agreement", "kappa", "exact", "passes")}
    return {**kept, "consistent": judge["position"]["consistent"], "first_wins": judge["position"]["first_wins"]}


def _jury(labels: Sequence[Label], name: str, members: Sequence[Judged]) -> dict[str, Any]:
    """Return the cross-validated report and the mean over draws of 50 labels to learn from and the rest to decide."""
    view = view_of(labels, None, SETTINGS)
    preferences = np.stack([column_of(each.preferences(), view.ratings.items) for each in members], axis=1)
    credit = credits_of(view.people, preferences)
    rng, drawn = random.Random(SETTINGS.seed), []
    for _ in range(N_DRAWS):
        order = rng.sample(range(len(view.people)), len(view.people))
        learned, rest = np.array(order[:N_LEARNED]), np.array(order[N_LEARNED:])
        found = decide(credit[learned], preferences[rest], view.people[rest])
        drawn.append([found.weighted.mean(), found.majority.mean(), found.best.mean()])
    means = dict(zip(("weighted", "majority", "best"), np.mean(drawn, axis=0).tolist(), strict=True))
    all_alike = credits_of(view.people, majority_preference(preferences)).mean()
    return {
        "jury": name,
        "members": [
            {"judge": each.name, "agreement": float(np.nanmean(credit[:, at]))} for at, each in enumerate(members)
        ],
        "majority_of_all": float(all_alike),
        "holdout": {"n_learned": N_LEARNED, "n_draws": N_DRAWS, **means},
        "cross_validated": agreement(labels, members, SETTINGS).report["jury"],
    }


def annotations(data: Path) -> list[dict[str, Any]]:
    """Return the annotations of people, the last of each person on each pair."""
    from openpyxl import load_workbook

    path = data / "openinstruct-humaneval" / "data" / "eval_annotations_tulu_1.xlsx"
    sheet = load_workbook(path, read_only=True).active
    header, *rows = sheet.iter_rows(values_only=True)
    found = [dict(zip(header, row, strict=True)) for row in rows if row[0] is not None]
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(found, key=lambda row: str(row["timestamp"])):
        latest[_item(row), row["evaluator"]] = row
    return list(latest.values())


def _item(row: dict[str, Any]) -> str:
    """Return the id of a pair: the prompt and the two models, in whichever order they were shown."""
    return f"{row['instance_id']}|{'|'.join(sorted((row['model_a'], row['model_b'])))}"


def preference_labels(rows: Sequence[dict[str, Any]], *, mind_order: bool = True) -> list[Label]:
    """Return preferences; without `mind_order`, answer A counts as the first whoever wrote it."""
    labels = []
    for row in rows:
        swapped = row["model_a"] > row["model_b"]
        value, texts = SCORES[row["preference"]], (str(row["completion_a"]), str(row["completion_b"]))
        if swapped and mind_order:
            value, texts = 1 - value, texts[::-1]
        order = "ba" if swapped and mind_order else "ab"
        place = f"annotation {row['id']}"
        labels.append(Label(_item(row), row["evaluator"], value, order, {}, "tulu", "pair", texts, place))
    return labels


def acceptability_labels(rows: Sequence[dict[str, Any]]) -> list[Label]:
    """Return whether each answer is acceptable; of an answer in several pairs each person's last say."""
    found: dict[tuple[str, str], Label] = {}
    for row in rows:
        for side in ("a", "b"):
            item = f"{row['instance_id']}|{row[f'model_{side}']}"
            value = {"yes": 1.0, "no": 0.0}[row[f"completion_{side}_is_acceptable"]]
            text, place = (str(row[f"completion_{side}"]),), f"annotation {row['id']}"
            found[item, row["evaluator"]] = Label(
                item, row["evaluator"], value, None, {}, "tulu", "answer", text, place
            )
    return list(found.values())


def people_record(data: Path) -> dict[str, Any]:
    """Return how far people agree with each other, and what forgetting the display order would make of it."""
    rows = annotations(data)
    by_item: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_item.setdefault(_item(row), []).append(row)
    doubly = [each for each in by_item.values() if len(each) > 1]
    labels = preference_labels(rows)
    accepted = acceptability_labels(rows)
    return {
        "n_annotations": len(rows),
        "n_annotators": len({row["evaluator"] for row in rows}),
        "n_doubly": len(doubly),
        "n_in_opposite_orders": sum(len({row["model_a"] for row in each}) > 1 for each in doubly),
        "order_minded": agreement(labels, [longer(labels)], SETTINGS).report,
        "order_ignored": agreement(preference_labels(rows, mind_order=False), [], SETTINGS).report,
        "acceptable": agreement(accepted, [length_score(accepted)], SETTINGS).report,
    }


def longer(labels: Sequence[Label]) -> Judged:
    """A judge that prefers the longer answer: what any judge has to beat."""
    wins = {label.item_id: (1 + np.sign(len(label.texts[0]) - len(label.texts[1]))) / 2 for label in labels}
    return Judged("longer", "longer", ab={item: float(win) for item, win in wins.items()}, ba=dict(wins))


def length_score(labels: Sequence[Label]) -> Judged:
    """A judge that scores an answer by its length."""
    return Judged("length", "length", scores={label.item_id: float(len(label.texts[0])) for label in labels})


if __name__ == "__main__":
    main()
