import pytest

from steps.rows import EXAMPLES, content_id, messages_id, prompt_and_answer, table

MESSAGES = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]


def test_ids_depend_on_content_and_origin():
    here = messages_id(MESSAGES, "log", "a.jsonl", 3)
    assert here == messages_id(MESSAGES, "log", "a.jsonl", 3)
    assert here != messages_id(MESSAGES, "log", "a.jsonl", 4)
    assert here != messages_id([*MESSAGES, *MESSAGES], "log", "a.jsonl", 3)


def test_ids_tell_an_absent_part_from_an_empty_one_and_survive_lone_surrogates():
    assert content_id("a", None) != content_id("a", "")
    assert len(content_id("\ud800")) == 32


def test_a_missing_required_value_is_refused_with_its_column():
    with pytest.raises(ValueError, match="'group_id' is required"):
        table([{"id": "1", "messages": MESSAGES, "kind": "k", "source": "s", "path": "p"}], EXAMPLES)


def test_prompt_and_answer_split_at_the_last_assistant_turn():
    system = {"role": "system", "content": "be brief"}
    prompt, answer = prompt_and_answer([system, *MESSAGES])
    assert [message["role"] for message in prompt] == ["system", "user"]
    assert answer == "hello"
    with pytest.raises(ValueError, match="does not end"):
        prompt_and_answer(MESSAGES[:1])
