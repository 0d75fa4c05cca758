import itertools
from typing import Any

import pytest

from steps.extraction.conversations import detect_format, from_messages, join_input, split_input, to_messages
from steps.extraction.reasons import ExtractDrop, UnusableError


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


CHAT = [
    turn("system", "Be brief."),
    turn("user", "Hi"),
    turn("assistant", "Hello"),
    turn("user", "Bye"),
    turn("assistant", "Bye"),
]
TOOL_CHAT = [
    turn("system", 'Use tools.\n\n<tools>\n[{"name": "add"}]\n</tools>'),
    turn("user", "1 + 1?"),
    turn("assistant", '<tool_call>\n{"name": "add"}\n</tool_call>'),
    turn("tool", "2"),
    turn("assistant", "It is 2."),
]


@pytest.mark.parametrize("format_name", ["openai", "sharegpt", "alpaca"])
@pytest.mark.parametrize("messages", [CHAT, CHAT[1:], CHAT[1:3], CHAT[:3]])
def test_messages_survive_the_way_into_a_format_and_back(format_name: str, messages: list[dict[str, str]]) -> None:
    row = from_messages(messages, format_name)
    assert detect_format(row) == format_name
    assert to_messages(row, format_name) == messages


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "Add.", "input": "1, 2", "output": "3"},
        {"instruction": "Add.", "input": "", "output": "3"},
        {"instruction": "Add.\n", "input": "\n\n1\n", "output": "3\n"},
        {
            "instruction": "Go on.",
            "input": "",
            "output": "c",
            "system": "Be brief.",
            "history": [["a", "b"], ["c", "d"]],
        },
    ],
)
def test_alpaca_rows_survive_the_way_to_messages_and_back(row: dict[str, Any]) -> None:
    assert from_messages(to_messages(row, "alpaca"), "alpaca") == row


def test_any_instruction_and_input_can_be_parted_again() -> None:
    pieces = ["", "\n", "\n\n", "Input:\n", "\n\nInput:\n", "\n\nInput (2):\n", "\n\nInput (9):", "x"]
    for instruction, given in itertools.product(map("".join, itertools.product(pieces, repeat=2)), repeat=2):
        assert split_input(join_input(instruction, given)) == (instruction, given)


def test_tool_turns_and_tool_lists_survive_sharegpt() -> None:
    row = from_messages(TOOL_CHAT, "sharegpt")
    assert [entry["from"] for entry in row["conversations"]] == ["human", "function_call", "observation", "gpt"]
    assert (row["system"], row["tools"]) == ("Use tools.", '[{"name": "add"}]')
    assert to_messages(row, "sharegpt") == TOOL_CHAT


def test_sharegpt_roles_have_many_names() -> None:
    names = [("system", "system"), ("human", "user"), ("chatgpt", "assistant"), ("user", "user"), ("GPT", "assistant")]
    row = {"conversations": [{"from": name, "value": "x"} for name, _ in names]}
    assert [message["role"] for message in to_messages(row, "sharegpt")] == [role for _, role in names]


def test_content_given_as_text_parts_is_joined() -> None:
    row = {"messages": [turn("user", "q"), {"role": "assistant", "content": [{"type": "text", "text": "a"}] * 2}]}
    assert to_messages(row, "openai")[-1]["content"] == "a\na"


def test_raw_text_is_one_assistant_turn() -> None:
    assert to_messages({"text": "t"}, detect_format({"text": "t"})) == [turn("assistant", "t")]
    assert from_messages([turn("assistant", "t")], "text") == {"text": "t"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"messages": [turn("user", "q")]}, ExtractDrop.NO_ASSISTANT_TURN),
        ({"messages": []}, ExtractDrop.EMPTY_TEXT),
        ({"messages": "q"}, ExtractDrop.WRONG_TYPE),
        ({"messages": ["q"]}, ExtractDrop.WRONG_TYPE),
        ({"messages": [{"content": "q"}]}, ExtractDrop.MISSING_KEYS),
        ({"messages": [{"role": "user", "content": None}]}, ExtractDrop.WRONG_TYPE),
        ({"messages": [turn("narrator", "q")]}, ExtractDrop.UNKNOWN_ROLE),
        ({"messages": [{**turn("assistant", ""), "tool_calls": [{"id": 1}]}]}, ExtractDrop.UNSUPPORTED_CONTENT),
        ({"messages": [{**turn("assistant", "a"), "weight": 0}]}, ExtractDrop.UNSUPPORTED_CONTENT),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, ExtractDrop.UNSUPPORTED_CONTENT),
        ({"messages": CHAT, "label": False}, ExtractDrop.LABELLED_UNDESIRABLE),
        ({"instruction": "q", "output": 3}, ExtractDrop.WRONG_TYPE),
        ({"question": "q", "answer": "a"}, ExtractDrop.MISSING_KEYS),
    ],
)
def test_row_that_cannot_be_converted_has_a_reason(row: dict[str, Any], reason: ExtractDrop) -> None:
    with pytest.raises(UnusableError) as caught:
        to_messages(row, detect_format(row))
    assert caught.value.reason == reason


def test_unknown_keys_are_named_with_the_way_out() -> None:
    with pytest.raises(UnusableError, match=r"found answer, question; expected messages.*rename with `columns`"):
        detect_format({"question": "q", "answer": "a"})


def test_alpaca_refuses_tool_turns() -> None:
    with pytest.raises(ValueError, match="pairs of user and assistant"):
        from_messages(TOOL_CHAT, "alpaca")
