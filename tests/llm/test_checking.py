import pytest

from steps.llm.checking import asked_again, error_of, is_repairable
from steps.llm.request import Failed

SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}


@pytest.mark.parametrize(
    ("text", "finish_reason", "failed", "repairable"),
    [
        ('{"score": 4}', "stop", None, False),
        ('{"score": 4}', "length", Failed.TRUNCATED_REPLY, True),
        ('{"score": 4}', "content_filter", Failed.CONTENT_FILTERED, False),
        (" \n", "stop", Failed.EMPTY_REPLY, True),
        ('{"score": "4"}', "stop", Failed.INVALID_REPLY, True),
    ],
)
def test_a_reply_is_usable_or_says_why_not(text, finish_reason, failed, repairable):
    error = error_of(text, finish_reason, 9, SCHEMA)
    assert (error and Failed(error.partition(":")[0])) == failed
    assert is_repairable(error) is repairable


def test_free_text_needs_no_object():
    assert error_of("Fine.", "stop", 2, None) is None


def test_the_second_try_says_what_was_wrong_and_quotes_no_control_token():
    messages = [{"role": "system", "content": "Grade."}, {"role": "user", "content": "An answer."}]
    again = asked_again(messages, "invalid_reply: label is not one of ['<|im_end|>']")
    assert again[0] == messages[0]
    assert "one JSON object" in again[1]["content"]
    assert "refused because it label is not one of ['< |im_end| >']." in again[1]["content"]
    assert messages[1]["content"] == "An answer.", "the request itself stays as it was"
    assert asked_again(messages, "truncated_reply: cut off") == messages
