"""The leak report against brute force: after splitting by group and decontamination nothing stands on both sides."""

from random import Random

import pytest

from steps.dedup.clusters import DedupSettings, deduplicate
from steps.dedup.documents import documents_of
from steps.filtering.words import words
from steps.splitting.decontaminate import DecontaminationSettings, decontaminate
from steps.splitting.leaks import SHOWN, leak_report
from steps.splitting.split import SplitSettings, split_examples

THRESHOLD = 0.8


def noisy_rows(seed):
    """Documents of several rows, with copies and near-copies of rows in other documents."""
    random = Random(seed)
    rows = []
    for number in range(150):
        if rows and random.random() < 0.4:
            prompt, answer, *_ = random.choice(rows)
            tokens = answer.split()
            for _ in range(random.choice((0, 1, 4))):
                tokens[random.randrange(len(tokens))] = f"edit{random.randrange(9)}"
            answer = " ".join(tokens)
        else:
            prompt = f"ask {number} " + " ".join(f"p{random.randrange(500)}" for _ in range(6))
            answer = " ".join(f"a{random.randrange(900)}" for _ in range(60))
        rows.append((prompt, answer, f"document{random.randrange(300)}"))
    return rows


def jaccard(left, right):
    return len(left & right) / len(left | right)


def shingles(document):
    tokens = words(document.text("conversation"))
    return {tuple(tokens[i : i + 5]) for i in range(len(tokens) - 4)}


@pytest.mark.parametrize("seed", range(4))
def test_no_group_text_or_near_duplicate_stands_on_two_sides(scored, seed):
    rows = scored(noisy_rows(seed))
    for method in ("exact", "minhash"):
        rows = deduplicate(method, rows, DedupSettings()).kept
    split = split_examples(rows, SplitSettings(test_fraction=0.3, validation_fraction=0.2, seed=seed)).kept
    kept = decontaminate(split, DecontaminationSettings(max_drop_fraction=1)).kept
    assert leak_report(kept, THRESHOLD) == {"groups": [], "texts": [], "near_duplicates": []}
    splits, groups = kept["split"].to_pylist(), kept["group_id"].to_pylist()
    texts = [" ".join(words(document.text("conversation"))) for document in documents_of(kept)]
    sets = [shingles(document) for document in documents_of(kept)]
    assert {"train", "test"} <= set(splits)
    for i in range(len(splits)):
        for j in range(i):
            if splits[i] != splits[j]:
                assert groups[i] != groups[j]
                assert texts[i] != texts[j]
                assert jaccard(sets[i], sets[j]) < THRESHOLD


def test_what_leaks_without_deduplication_and_groups_is_reported(scored):
    rows = scored([(prompt, answer, f"own{i}") for i, (prompt, answer, _) in enumerate(noisy_rows(1))])
    split = split_examples(rows, SplitSettings(test_fraction=0.3)).kept
    report = leak_report(split, THRESHOLD)
    texts = [" ".join(words(document.text("conversation"))) for document in documents_of(split)]
    seen = {}
    for text, name in zip(texts, split["split"].to_pylist(), strict=True):
        seen.setdefault(text, set()).add(name)
    assert len(report["texts"]) == sum(len(names) > 1 for names in seen.values()) > 0
    assert all(len(leak["splits"]) > 1 for leak in report["texts"])
    names, sets = split["split"].to_pylist(), [shingles(document) for document in documents_of(split)]
    expected = {
        frozenset((split["id"][i].as_py(), split["id"][j].as_py()))
        for i in range(len(sets))
        for j in range(i)
        if names[i] != names[j] and jaccard(sets[i], sets[j]) >= THRESHOLD
    }
    found = {frozenset(leak["row_ids"]) for leak in report["near_duplicates"]}
    assert found <= expected
    assert len(found) == min(len(expected), SHOWN) > 0
