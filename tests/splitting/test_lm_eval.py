import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steps.errors import InputError
from steps.splitting.benchmarks import benchmark_files, benchmark_index, benchmark_texts
from steps.splitting.decontaminate import DecontaminationSettings, decontaminate
from steps.splitting.lm_eval import load_tasks

DOCS = [
    {
        "question": "Which tide follows the ebb in the harbour of the small northern island",
        "options": ["spring", "flood"],
    },
    {"question": "Who keeps the lamp of the lighthouse", "options": ["the keeper", "the cook"]},
]
TASK = """
task: harbour
dataset_path: json
dataset_kwargs:
  data_files:
    test: rows.jsonl
test_split: test
doc_to_text: "Question: {{question.strip()}}\\nAnswer:"
doc_to_target: 1
doc_to_choice: "{{options}}"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(doc) + "\n" for doc in DOCS))
    (tmp_path / "harbour.yaml").write_text(TASK)
    return tmp_path


def texts_of(path):
    return [pair for task in load_tasks([str(path)]) for pair in task.texts()]


def test_a_row_gives_its_rendered_prompt_its_target_its_choices_and_the_fields_that_templates_name(folder):
    texts = [text for evidence, text in texts_of(folder / "harbour.yaml") if evidence == "lm_eval:harbour:1"]
    assert texts == [
        "Question: Who keeps the lamp of the lighthouse\nAnswer:",
        "the cook",
        "the keeper",
        "Who keeps the lamp of the lighthouse",
    ]


def test_a_field_can_be_named_without_a_template_and_a_target_can_be_text(folder):
    changed = TASK.replace('"Question: {{question.strip()}}\\nAnswer:"', "question")
    (folder / "harbour.yaml").write_text(changed.replace("doc_to_target: 1\n", 'doc_to_target: "{{options[0]}}"\n'))
    assert ("lm_eval:harbour:0", "spring") in texts_of(folder / "harbour.yaml")
    assert ("lm_eval:harbour:0", DOCS[0]["question"]) in texts_of(folder / "harbour.yaml")


def test_a_training_row_that_asks_a_task_s_question_is_dropped_and_names_task_and_row(folder, dataset):
    table = dataset(
        [("q", "a", "test"), (f"Tell me! {DOCS[0]['question']}?", "a", "train"), (DOCS[1]["question"], "b", "train")]
    )
    settings = DecontaminationSettings(lm_eval_tasks=(str(folder / "harbour.yaml"),), max_drop_fraction=1)
    result = decontaminate(table, settings)
    found = {row["row_id"]: row for row in result.ledger.to_pylist() if row["decision"] == "dropped"}
    ids = table["id"].to_pylist()
    assert {key: row["evidence_id"] for key, row in found.items()} == {
        ids[1]: "lm_eval:harbour:0",
        ids[2]: "lm_eval:harbour:1",
    }
    assert found[ids[1]]["detail"].startswith("13-grams: which tide follows the ebb")


def test_an_include_is_read_and_its_keys_can_be_changed(folder):
    (folder / "more").mkdir()
    (folder / "more" / "other.yaml").write_text("include: ../harbour.yaml\ntask: other\ndoc_to_text: question\n")
    (task,) = load_tasks([str(folder / "more" / "other.yaml")])
    assert task.name == "other"
    assert ("lm_eval:other:1", DOCS[1]["question"]) in list(task.texts())
    assert {path.name for path in task.files()} == {"other.yaml", "harbour.yaml", "rows.jsonl"}


def test_a_group_gives_its_tasks_by_name_and_inline_and_in_other_groups(folder):
    (folder / "second.yaml").write_text(TASK.replace("task: harbour", "task: second"))
    (folder / "inner.yaml").write_text("group: inner\ntask: [second]\n")
    (folder / "all.yaml").write_text(
        "group: all\ntask:\n  - harbour\n  - inner\n  - {task: third, include: harbour.yaml}\n"
    )
    assert [task.name for task in load_tasks([str(folder / "all.yaml")])] == ["harbour", "second", "third"]


def test_python_of_a_task_is_never_run_and_all_texts_of_its_rows_count(folder):
    (folder / "utils.py").write_text("raise SystemExit('run')\n")
    (folder / "harbour.yaml").write_text(TASK + "process_docs: !function utils.prepare\n")
    assert ("lm_eval:harbour:1", "the keeper") in texts_of(folder / "harbour.yaml")
    assert not any(text.startswith("Question:") for _, text in texts_of(folder / "harbour.yaml"))


@pytest.mark.parametrize("reader", ["parquet", "csv", "json_list", "field"])
def test_rows_are_read_from_other_kinds_of_files(folder, reader):
    rows = [{"question": doc["question"]} for doc in DOCS]
    kwargs, path = "", "json"
    if reader == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), folder / "rows.x")
        path = "parquet"
    elif reader == "csv":
        (folder / "rows.x").write_text("question\n" + "".join(f'"{row["question"]}"\n' for row in rows))
        path = "csv"
    elif reader == "field":
        (folder / "rows.x").write_text(json.dumps({"data": rows}))
        kwargs = "  field: data\n"
    else:
        (folder / "rows.x").write_text(json.dumps(rows))
    (folder / "x.yaml").write_text(
        f"task: x\ndataset_path: {path}\ndataset_kwargs:\n  data_files: rows.x\n{kwargs}"
        "validation_split: validation\ndoc_to_text: question\ndoc_to_target: ''\n"
    )
    assert texts_of(folder / "x.yaml") == [(f"lm_eval:x:{i}", row["question"]) for i, row in enumerate(rows)]


def test_a_data_set_that_is_not_a_file_is_loaded_through_the_datasets_library(folder, monkeypatch):
    """A folder stands for the Hub here: the library loads both by the same call."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", folder / "cache")
    (folder / "hub").mkdir()
    (folder / "hub" / "test.jsonl").write_text((folder / "rows.jsonl").read_text())
    kept, _, rest = TASK.partition("dataset_path: json\n")
    body = rest[rest.index("test_split") :]
    (folder / "harbour.yaml").write_text(f"{kept}dataset_path: {folder / 'hub'}\n{body}")
    assert ("lm_eval:harbour:1", "the keeper") in texts_of(folder / "harbour.yaml")
    (task,) = load_tasks([str(folder / "harbour.yaml")])
    assert task.fingerprint() == task.fingerprint()
    settings = DecontaminationSettings(lm_eval_tasks=(str(folder / "harbour.yaml"),), index_dir=str(folder / "index"))
    assert "the keeper" in benchmark_index(settings).texts.to_pylist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("rows.jsonl", "none.jsonl"), "none.jsonl does not exist"),
        (("test_split: test", ""), "neither test_split nor validation_split"),
        (("question.strip()", "nothing.strip()"), "cannot be rendered"),
        (("{{question.strip()}}", "{{question.__class__.__mro__}}"), "cannot be rendered"),
        (("task: harbour", "tusk: harbour"), "neither an lm-eval task"),
        (("task: harbour", "task: [nowhere]"), "defines the task 'nowhere'"),
        (("task: harbour", "include: harbour.yaml"), "is it a loop"),
        (("dataset_path: json", "dataset_path: no-such-owner/no-such-set"), "cannot be loaded from the Hub"),
    ],
)
def test_an_unusable_task_is_named_with_what_is_wrong(folder, change, message):
    (folder / "harbour.yaml").write_text(TASK.replace(*change))
    with pytest.raises(InputError, match=message):
        texts_of(folder / "harbour.yaml")


def test_the_files_of_tasks_and_benchmarks_are_known_before_a_run(folder):
    settings = DecontaminationSettings(
        benchmark_paths=(str(folder / "rows.jsonl"),), lm_eval_tasks=(str(folder / "harbour.yaml"),)
    )
    assert [path.rsplit("/", 1)[1] for path in benchmark_files(settings)] == [
        "rows.jsonl",
        "harbour.yaml",
        "rows.jsonl",
    ]
    with pytest.raises(InputError, match=r"missing\.yaml"):
        benchmark_files(DecontaminationSettings(lm_eval_tasks=(str(folder / "missing.yaml"),)))


def test_json_and_parquet_benchmarks_are_named_by_row(tmp_path):
    rows = [{"id": "x", "q": "first"}, {"q": "second", "n": 3}]
    (tmp_path / "a.json").write_text(json.dumps({"version": "1", "data": rows}))
    (tmp_path / "b.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "c.parquet")
    found = list(benchmark_texts([str(tmp_path / name) for name in ("a.json", "b.json", "c.parquet")]))
    assert [(evidence.rsplit("/", 1)[1], text) for evidence, text in found] == [
        ("a.json:version row 0", "1"),
        ("a.json:data row 0", "first"),
        ("a.json:data row 1", "second"),
        ("b.json:1", "first"),
        ("b.json:2", "second"),
        ("c.parquet:row 0", "first"),
        ("c.parquet:row 1", "second"),
    ]
    (tmp_path / "d.parquet").write_bytes(b"none")
    with pytest.raises(InputError, match="Parquet"):
        list(benchmark_texts([str(tmp_path / "d.parquet")]))
