import pytest
from pydantic import ValidationError

from steps.errors import DropLimitError, InputError
from steps.filtering.keywords import KeywordSettings
from steps.filtering.length import LengthSettings
from steps.filtering.rules import RULES, FilteringSettings, apply_filters
from steps.filtering.tokens import token_counter
from steps.ledger import reasons
from steps.rows import EXAMPLES, LEDGER

GOOD = [("user", "What is a queue?"), ("assistant", "A queue holds work until a worker takes it.")]


def test_every_row_is_kept_or_dropped_with_its_first_failure(examples):
    table = examples(
        GOOD,
        [("user", "Hi"), ("user", "Hi"), ("assistant", "I cannot help with that.")],
        [("user", "Hi"), ("assistant", "I cannot help with secret that.")],
        [("user", "Hi"), ("assistant", "```\nopen")],
    )
    settings = FilteringSettings(keywords=KeywordSettings(phrases=("secret",)), max_drop_fraction=1)
    result = apply_filters(table, settings)
    assert result.kept["id"].to_pylist() == table["id"].to_pylist()[:1]
    assert result.kept.schema == EXAMPLES
    assert result.ledger.schema == LEDGER
    decided = {row["row_id"]: (row["decision"], row["reason"]) for row in result.ledger.to_pylist()}
    assert [decided[row_id] for row_id in table["id"].to_pylist()] == [
        ("kept", None),
        ("dropped", "roles_do_not_alternate"),
        ("dropped", "refusal"),
        ("dropped", "unclosed_code_fence"),
    ]


def test_rules_that_are_off_drop_nothing(examples):
    off = FilteringSettings(**dict.fromkeys(name for name, _ in RULES))
    table = examples([], [("assistant", "")], [("user", "Hi"), ("assistant", "I cannot help with that.")])
    assert reasons(apply_filters(table, off).ledger) == {}


def test_an_empty_table_passes(examples):
    result = apply_filters(examples(), FilteringSettings())
    assert (result.kept.num_rows, result.ledger.num_rows) == (0, 0)


def test_too_many_drops_stop_the_run(examples):
    with pytest.raises(DropLimitError, match="not_ending_with_assistant"):
        apply_filters(examples(GOOD, [("user", "Hi")]), FilteringSettings(max_drop_fraction=0.4))


def test_tokens_are_those_of_the_base_model(examples, tmp_path):
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_truncation(3)  # a tokenizer file may carry a limit, which must not hide a long answer
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    settings = FilteringSettings(length=LengthSettings(max_answer_tokens=10), max_drop_fraction=1)
    assert settings.needs_tokens
    table = examples(GOOD, [("user", "Hi"), ("assistant", "one two three four five six seven eight nine ten eleven")])
    result = apply_filters(table, settings, token_counter(tmp_path))
    assert reasons(result.ledger) == {"too_many_answer_tokens": 1}
    assert result.ledger["score"].drop_null().to_pylist() == [11.0]


def test_a_base_model_without_a_tokenizer_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"tokenizer\.json"):
        token_counter(tmp_path)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValidationError, match="lenght"):
        FilteringSettings.model_validate({"lenght": None})


def test_a_secret_is_masked_in_the_row_that_goes_on_and_the_ledger_says_so(examples):
    key = "ghp_" + "a1B2c3D4e5F6" * 3
    table = examples([("user", f"My key is {key}, why does it fail?"), ("assistant", f"Because {key} has expired.")])
    result = apply_filters(table, FilteringSettings())
    assert [message["content"] for message in result.kept["messages"][0].as_py()] == [
        "My key is <GITHUB_TOKEN_1>, why does it fail?",
        "Because <GITHUB_TOKEN_1> has expired.",
    ]
    (row,) = result.ledger.to_pylist()
    assert (row["decision"], row["reason"]) == ("kept", "secret_masked")
    assert key not in row["detail"]


def test_content_checks_drop_by_default_only_what_is_provably_wrong(examples):
    table = examples(
        [("user", "What is 2 + 2, please?"), ("assistant", "It is easy: 2 + 2 = 5 in total.")],
        [("user", "Write the formula, please."), ("assistant", r"Here it is: \(\frac{1}{2 and so on")],
        [("user", "Write to whom, please?"), ("assistant", "Schreiben Sie bitte an anna@firma.de, das genügt völlig.")],
    )
    result = apply_filters(table, FilteringSettings(max_drop_fraction=1))
    assert reasons(result.ledger) == {"wrong_arithmetic": 1, "unbalanced_maths": 1}
    assert result.kept["messages"][0].as_py()[1]["content"].endswith("anna@firma.de, das genügt völlig.")
