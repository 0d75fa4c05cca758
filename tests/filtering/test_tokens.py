import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from steps.errors import InputError
from steps.filtering import tokens
from steps.filtering.tokens import token_counter, with_token_counts
from steps.rows import EXAMPLES, table


def test_tokens_of_all_messages_of_a_row_are_counted_by_the_models_own_tokenizer(tmp_path, monkeypatch):
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    rows = [
        [{"role": "user", "content": "a b a"}, {"role": "assistant", "content": "b"}],
        [{"role": "assistant", "content": ""}],
        [],
        [{"role": "user", "content": "b"}],
    ]
    origin = {"kind": "k", "source": "s", "path": "p", "group_id": "g"}
    examples = table([{"id": str(n), "messages": messages, **origin} for n, messages in enumerate(rows)], EXAMPLES)
    counter = token_counter(tmp_path)
    assert with_token_counts(examples, counter)["n_tokens"].to_pylist() == [4, 0, 0, 1]
    monkeypatch.setattr(tokens, "TOKENISED_ROWS", 3)
    assert with_token_counts(examples, counter)["n_tokens"].to_pylist() == [4, 0, 0, 1]
    assert with_token_counts(examples.slice(0, 0), counter)["n_tokens"].to_pylist() == []


def test_a_model_without_a_tokenizer_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"tokenizer\.json"):
        token_counter(tmp_path)
