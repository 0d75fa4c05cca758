import pytest

from steps.llm.checking import Problem, problem_of, second_try
from steps.llm.request import ChatRequest, Failed

SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}


@pytest.mark.parametrize(
    ("text", "finish_reason", "failed", "is_worth_asking_again"),
    [
        ('{"score": 4}', "length", Failed.TRUNCATED_REPLY, True),
        ('{"score": 4}', "content_filter", Failed.CONTENT_FILTERED, False),
        (" \n", "stop", Failed.EMPTY_REPLY, True),
        ('{"score": "4"}', "stop", Failed.INVALID_REPLY, True),
    ],
)
def test_a_reply_that_cannot_be_used_says_why(text, finish_reason, failed, is_worth_asking_again):
    problem = problem_of(text, finish_reason, 9, SCHEMA)
    assert problem.kind is failed
    assert str(problem).startswith(f"{failed}: ")
    assert problem.is_worth_asking_again is is_worth_asking_again


def test_a_reply_of_the_form_that_was_asked_for_has_no_problem():
    assert problem_of('{"score": 4}', "stop", 9, SCHEMA) is None
    assert problem_of("Fine.", "stop", 2, None) is None


def test_the_second_try_says_what_was_wrong_and_quotes_no_control_token():
    request = ChatRequest([{"role": "system", "content": "Grade."}, {"role": "user", "content": "An answer."}], SCHEMA)
    again = second_try(request, 50, Problem(Failed.INVALID_REPLY, "label is not one of ['<|im_end|>']"))
    assert again.max_tokens == 100
    assert again.messages[0] == request.messages[0]
    assert again.messages[1]["content"].startswith("An answer.\n\n")
    assert "label is not one of ['< |im_end| >']" in again.messages[1]["content"]
    assert "one JSON object" in again.messages[1]["content"]
    assert request.messages[1]["content"] == "An answer.", "the request itself stays as it was"


def test_a_reply_that_was_cut_off_is_asked_for_in_the_same_words():
    request = ChatRequest([{"role": "user", "content": "An answer."}], SCHEMA)
    assert second_try(request, 50, Problem(Failed.TRUNCATED_REPLY, "")) == request._replace(max_tokens=100)
