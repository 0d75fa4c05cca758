import json
import socket

import pytest

from steps.errors import EndpointError
from steps.llm.request import ChatRequest, Failed
from steps.llm.transport import Answer, Failure, read_answer

BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 50}


def payload(message=None, **choice):
    message = {"role": "assistant", "content": "hi"} if message is None else message
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop", **choice}]}).encode()


def test_without_usage_the_worst_case_counts_as_used():
    answer = read_answer(payload(), BODY)
    assert isinstance(answer, Answer)
    assert (answer.prompt_tokens, answer.completion_tokens) == (len(json.dumps(BODY, separators=(",", ":"))), 50)
    with_nulls = json.loads(payload()) | {"usage": {"prompt_tokens": None, "completion_tokens": 3}}
    assert read_answer(json.dumps(with_nulls).encode(), BODY).completion_tokens == 3


def test_a_tool_call_is_the_reply_where_a_tool_was_asked_for():
    called = {"content": None, "tool_calls": [{"function": {"name": "reply", "arguments": '{"a": 1}'}}]}
    assert read_answer(payload(called), {**BODY, "tools": []}).text == '{"a": 1}'
    assert read_answer(payload({"content": '{"a": 2}'}), {**BODY, "tools": []}).text == '{"a": 2}'


def test_content_in_parts_is_put_together():
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    assert read_answer(payload({"content": parts}), BODY).text == "one two"


@pytest.mark.parametrize(
    "logprobs", [None, {}, {"content": None}, {"content": [{"token": "a"}]}, {"tokens": ["a"], "token_logprobs": [-1]}]
)
def test_log_probabilities_of_another_form_cost_no_reply(logprobs):
    answer = read_answer(payload(logprobs=logprobs), BODY)
    assert (answer.text, answer.logprobs) == ("hi", None)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{}]}', b"[" * 100_000, b"\xff"]
)
def test_what_is_no_chat_completion_is_a_failure_to_retry(body):
    failure = read_answer(body, BODY)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.retryable) == (Failed.MALFORMED_RESPONSE, True)


def test_a_connection_that_is_never_made_is_given_up(make_client):
    # Two connections fill the queue of a socket that accepts none; the kernel lets the third one wait.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        client = make_client(base_url=f"http://127.0.0.1:{address[1]}/v1", connect_timeout_s=0.2, max_retries=0)
        with pytest.raises(EndpointError, match=r"cannot be reached: no connection within connect_timeout_s=0\.2"):
            client.complete_all([ChatRequest([{"role": "user", "content": "a"}])])
        for one in waiting:
            one.close()
