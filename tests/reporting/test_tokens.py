import pyarrow as pa

from steps.chat.render import IGNORED, encode
from steps.chat.template import TEMPLATES, install
from steps.reporting import tokens
from steps.reporting.tokens import count_dataset_tokens
from steps.rows import MESSAGES
from tests.chat.conftest import bare_tokenizer


def dataset_of(conversations: list[list[dict[str, str]]], split: str = "train") -> pa.Table:
    return pa.table({"messages": pa.array(conversations, MESSAGES), "split": [split] * len(conversations)})


def asked(answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": "Name a colour."}, {"role": "assistant", "content": answer}]


def test_all_and_trained_tokens_are_counted_as_training_sees_them_and_refused_rows_apart(tmp_path):
    tokenizer = bare_tokenizer()
    install(tokenizer, TEMPLATES["chatml"])
    tokenizer.save_pretrained(tmp_path)
    rows = [asked("It is blue."), asked("Blue."), [{"role": "wizard", "content": "?"}]]
    counts = count_dataset_tokens(dataset_of(rows), tmp_path)
    encoded = [encode(tokenizer, row) for row in rows[:2]]
    assert counts["train"] == {
        "total": sum(len(each.input_ids) for each in encoded),
        "trained": sum(label != IGNORED for each in encoded for label in each.labels),
        "n_refused": 1,
        "n_counted": 3,
    }
    assert counts["test"] == {"total": 0, "trained": 0, "n_refused": 0, "n_counted": 0}


def test_a_large_split_is_counted_on_rows_spread_over_it_and_scaled_up(tmp_path, monkeypatch):
    tokenizer = bare_tokenizer()
    install(tokenizer, TEMPLATES["chatml"])
    tokenizer.save_pretrained(tmp_path)
    rows = dataset_of([asked("It is blue."), asked("Blue.")] * 10)
    exact = count_dataset_tokens(rows, tmp_path)["train"]
    monkeypatch.setattr(tokens, "COUNTED_ROWS", 5)
    sampled = count_dataset_tokens(dataset_of([asked("It is blue.")] * 12), tmp_path)["train"]
    assert exact["n_counted"] == 20
    assert sampled["n_counted"] == 5
    assert sampled["total"] == 12 * len(encode(tokenizer, asked("It is blue.")).input_ids)
