import json
from random import Random

import pytest

from steps.errors import DropLimitError, InputError
from steps.splitting.decontaminate import decontaminate
from steps.splitting.leaks import leak_report
from steps.splitting.overlap import DecontaminationSettings, overlap_index

ALL = 1.0


def text(seed, n=40):
    random = Random(seed)
    return " ".join(f"word{random.randrange(100_000)}" for _ in range(n))


def settings(**values):
    return DecontaminationSettings(**{"max_drop_fraction": ALL, **values})


def dropped(result):
    return {row["row_id"]: row for row in result.ledger.to_pylist() if row["decision"] == "dropped"}


def test_a_copy_of_a_test_row_leaves_training_and_validation_and_names_it(dataset):
    table = dataset(
        [
            (text(1), text(2), "test"),
            (text(1).upper() + "!", text(3), "train"),
            (text(4), text(2), "validation"),
            (text(5), text(6), "train"),
        ]
    )
    ids = table["id"].to_pylist()
    result = decontaminate(table, settings())
    assert result.kept["id"].to_pylist() == [ids[0], ids[3]]
    assert result.kept.schema == table.schema
    found = dropped(result)
    assert {row["reason"] for row in found.values()} == {"overlaps_test"}
    assert {row["evidence_id"] for row in found.values()} == {ids[0]}
    assert found[ids[1]]["score"] == 1.0


def test_a_test_text_inside_a_longer_text_is_found(dataset):
    table = dataset([(text(1, 20), "Yes.", "test"), (f"{text(2)} {text(1, 20)} {text(3)}", "No.", "train")])
    (row,) = dropped(decontaminate(table, settings())).values()
    assert row["score"] == 1.0


def test_a_shared_sentence_is_below_the_least_overlap(dataset):
    shared = text(9, 15)  # three 13-grams
    rows = [(f"{text(1)} {shared}", "Yes.", "test"), (f"{text(2)} {shared}", "No.", "train")]
    assert dropped(decontaminate(dataset(rows), settings())) == {}
    assert len(dropped(decontaminate(dataset(rows), settings(min_overlap=0.05)))) == 1


def test_frequent_boilerplate_drops_nothing_while_a_planted_copy_still_falls(dataset):
    boilerplate = "Please read the following note with care and then write a short summary of all its findings."
    rows = [(f"{boilerplate} {text(i, 14)}", text(1000 + i), "train") for i in range(40)]
    rows += [(f"{boilerplate} {text(5000 + i, 14)}", text(6000 + i), "test") for i in range(5)]
    clean = dataset(rows)
    assert dropped(decontaminate(clean, settings(min_overlap=0.1))) == {}
    # Without the limit the same rows would go: the test can fail.
    assert len(dropped(decontaminate(clean, settings(min_overlap=0.1, max_ngram_frequency=None)))) == 40
    planted = dataset([*rows, (rows[-1][0], text(7000), "train")])
    assert list(dropped(decontaminate(planted, settings(min_overlap=0.1)))) == [planted["id"].to_pylist()[-1]]


def test_short_prompts_are_compared_as_a_whole_and_short_answers_never(dataset):
    table = dataset(
        [
            ("Name the capital of Peru.", "Lima", "test"),
            ("name the  capital of Peru", "It is Lima", "train"),
            ("Name the capital of Chile.", "Lima", "train"),
        ]
    )
    assert list(dropped(decontaminate(table, settings()))) == [table["id"][1].as_py()]


def test_a_short_prompt_that_many_training_rows_share_is_boilerplate(dataset):
    rows = [("Continue.", text(i), "train") for i in range(12)]
    assert dropped(decontaminate(dataset([("Continue.", text(99), "test"), *rows]), settings())) == {}
    few = dataset([("Continue.", text(99), "test"), *rows[:3]])
    assert len(dropped(decontaminate(few, settings()))) == 3


def test_test_rows_stay_whatever_they_overlap(dataset, tmp_path):
    path = tmp_path / "benchmark.txt"
    path.write_text(text(1) + "\n", encoding="utf-8")
    table = dataset([(text(1), text(2), "test"), (text(1), text(2), "test"), (text(3), text(4), "train")])
    assert dropped(decontaminate(table, settings(benchmark_paths=(str(path),)))) == {}


def test_rows_of_a_benchmark_are_found_with_file_and_line(dataset, tmp_path):
    path = tmp_path / "benchmark.jsonl"
    rows = [
        {"id": text(7), "prompt": text(1), "answer": "5"},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": text(2)}]}]},
    ]
    path.write_text("\ufeff" + json.dumps(rows[0]) + "\n\n" + json.dumps(rows[1]) + "\n", encoding="utf-8")
    table = dataset(
        [
            (text(8), "5", "test"),
            (text(1), "6", "train"),
            (text(3), text(2), "train"),
            (text(7), "7", "train"),  # equal to an id, which is no text
            ("user", "8", "train"),
        ]
    )
    ids = table["id"].to_pylist()
    found = dropped(decontaminate(table, settings(benchmark_paths=(str(path),))))
    assert {row_id: row["evidence_id"] for row_id, row in found.items()} == {ids[1]: f"{path}:1", ids[2]: f"{path}:3"}
    assert {row["reason"] for row in found.values()} == {"overlaps_benchmark"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.txt", None, "cannot be read"),
        ("x.jsonl", b"{}\n{", r"x\.jsonl:2 is not JSON"),
        ("y.txt", b"\xff", "UTF-8"),
    ],
)
def test_an_unusable_benchmark_file_is_named(dataset, tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        decontaminate(dataset([("a", "b", "test")]), settings(benchmark_paths=(str(tmp_path / name),)))


def test_too_many_drops_stop_the_run(dataset):
    with pytest.raises(DropLimitError, match="overlaps_test"):
        decontaminate(dataset([("one two", "b", "test"), ("one two", "c", "train")]), settings(max_drop_fraction=0.2))


def test_chinese_texts_are_compared_by_character(dataset):
    sentence = "我们今天下午在会议室讨论了新的缓存系统的设计方案"
    table = dataset([(sentence, "好", "test"), (f"请总结：{sentence}。谢谢大家", "行", "train")])
    assert len(dropped(decontaminate(table, settings()))) == 1


def test_an_index_finds_the_text_that_overlaps_most():
    index = overlap_index([("half", f"{text(1, 30)} {text(2, 30)}"), ("whole", text(1, 30))], DecontaminationSettings())
    assert index.find(text(1, 30) + " and") == ("whole", 1.0)
    assert index.find(text(3)) is None
    assert index.find("") is None
    assert overlap_index([], DecontaminationSettings()).find("anything") is None


def test_the_leak_report_is_empty_after_decontamination_and_names_a_planted_leak(dataset):
    rows = [(text(1), text(2), "train:a"), (text(3), text(4), "test:b"), (text(5), text(6), "validation:c")]
    clean = decontaminate(dataset(rows), settings()).kept
    assert leak_report(clean) == {"groups": [], "texts": []}
    leaking = dataset([*rows, (text(3) + " ", text(4), "train:d"), (text(7), text(8), "train:c")])
    report = leak_report(leaking)
    assert [leak["splits"] for leak in report["texts"]] == [["test", "train"]]
    assert [leak["key"] for leak in report["groups"]] == ["c"]
    assert [leak["key"] for leak in leak_report(decontaminate(leaking, settings()).kept)["texts"]] == []


def with_insertions(passage, every):
    tokens = passage.split()
    return " ".join(token + (f" extra{i}" if i % every == every - 1 else "") for i, token in enumerate(tokens))


def test_inserted_words_hide_a_text_from_13_grams_but_not_from_coverage(dataset):
    hidden = with_insertions(text(1, 60), 9)
    table = dataset([(text(1, 60), "Yes.", "test"), (f"{text(2)} {hidden}", "No.", "train")])
    assert dropped(decontaminate(table, settings(coverage=None))) == {}
    (row,) = dropped(decontaminate(table, settings())).values()
    assert row["score"] == 0.9
    assert row["detail"].startswith("coverage by 8-grams: word")
    assert dropped(decontaminate(table, settings(coverage={"ngram_words": 8, "min_coverage": 1}))) == {}


def test_coverage_counts_the_words_of_the_protected_text_that_shared_ngrams_cover(dataset):
    tokens = text(1, 40).split()
    part = " ".join(tokens[:20])
    table = dataset([(" ".join(tokens), "Yes.", "test"), (f"{part} {text(2, 300)}", "No.", "train")])
    (row,) = dropped(decontaminate(table, settings(min_overlap=None, coverage={"min_coverage": 0.5}))).values()
    assert row["score"] == 0.5
    assert row["detail"] == f"coverage by 8-grams: {part[:118] + ' …' if len(part) > 120 else part}"


@pytest.mark.parametrize("seed", range(3))
def test_overlaps_are_those_of_a_brute_force_over_all_pairs(dataset, seed):
    random = Random(seed)
    words = [f"w{i}" for i in range(25)]
    pieces = [" ".join(random.choices(words, k=random.randrange(3, 12))) for _ in range(12)]
    prompts = [" ".join(random.choices(pieces, k=random.randrange(1, 5))) for _ in range(60)]
    table = dataset([(prompt, "ok", "test" if i < 20 else "train") for i, prompt in enumerate(prompts)])
    ids = table["id"].to_pylist()
    chosen = settings(ngram_words=4, min_overlap=0.6, coverage=None, max_ngram_frequency=None)

    def grams(prompt, n=4):
        tokens = prompt.split()
        return {tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)}

    def overlap(left, right):
        if left == right:
            return 1.0
        smaller = min(len(grams(left)), len(grams(right)))
        return len(grams(left) & grams(right)) / smaller if smaller else 0.0

    expected = {ids[i]: max(overlap(prompts[i], prompts[j]) for j in range(20)) for i in range(20, 60)}
    found = dropped(decontaminate(table, chosen))
    assert {row_id: row["score"] for row_id, row in found.items()} == {
        row_id: round(score, 4) for row_id, score in expected.items() if score >= 0.6
    }


def test_reported_overlaps_stay_with_a_remark_in_the_ledger(dataset):
    table = dataset([(text(1), text(2), "test"), (text(1), text(3), "train"), (text(4), text(5), "train")])
    result = decontaminate(table, settings(action="report", max_drop_fraction=0))
    assert result.kept.equals(table)
    (row,) = (row for row in result.ledger.to_pylist() if row["reason"] is not None)
    assert (row["decision"], row["reason"], row["evidence_id"]) == ("kept", "overlaps_test", table["id"][0].as_py())
    assert result.report["n_overlapping_rows"] == {"overlaps_test": 1}
    assert result.report["by_method"] == {"exact": 1}


def test_the_order_of_the_rows_and_batches_changes_nothing(dataset, monkeypatch):
    from steps.splitting import searched, texts

    rows = [(text(i % 30, 30), text(100 + i), "test" if i < 10 else "train") for i in range(60)]
    table = dataset(rows)
    whole = decontaminate(table, settings()).ledger.sort_by("row_id")
    monkeypatch.setattr(texts, "BATCH_BYTES", 500)
    monkeypatch.setattr(searched, "BATCH_ROWS", 7)
    shuffled = table.take(Random(1).sample(range(60), 60))
    small = decontaminate(shuffled, settings()).ledger.sort_by("row_id")
    assert small.drop(["evidence_id"]).equals(whole.drop(["evidence_id"]))
    assert len(dropped(decontaminate(table, settings()))) == 10


def test_an_embedding_finds_the_same_said_in_other_words_only_when_asked(dataset):
    table = dataset(
        [
            ("How do I reset my forgotten password?", "By mail.", "test"),
            ("How can I reset the password that I have forgotten?", "Ask us.", "train"),
            ("Which trees lose their leaves in winter?", "Beeches.", "train"),
        ]
    )
    assert dropped(decontaminate(table, settings())) == {}
    (row,) = dropped(decontaminate(table, settings(embedding={"threshold": 0.8}))).values()
    assert row["row_id"] == table["id"][1].as_py()
    assert row["detail"] == "embedding: how do i reset my forgotten password"


def test_a_table_without_test_rows_or_without_any_is_compared_with_nothing(dataset):
    table = dataset([(text(1), text(2), "train")])
    assert decontaminate(table, settings()).kept.equals(table)
    assert decontaminate(table.slice(0, 0), settings()).ledger.num_rows == 0
