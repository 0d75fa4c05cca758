import pytest
from pydantic import ValidationError

from steps.llm.endpoint import EndpointSettings
from steps.llm.request import ChatRequest, Structure, body_of, encoded, most_reply_tokens, request_key

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def settings(**changes):
    return EndpointSettings(base_url="http://x/v1", **{"model": "m", **changes})


def ask(**changes):
    return ChatRequest([{"role": "user", "content": "hello"}], **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "other"},
        {"temperature": 0.5},
        {"top_p": 0.9},
        {"seed": 1},
        {"extra_body": {"reasoning_effort": "low"}},
    ],
)
def test_what_decides_the_reply_decides_the_key(changes):
    assert request_key(ask(), settings(**changes)) != request_key(ask(), settings())


@pytest.mark.parametrize("changes", [{"schema": SCHEMA}, {"sample": 1}, {"temperature": 1.0}, {"top_logprobs": 2}])
def test_each_part_of_a_request_decides_the_key(changes):
    assert request_key(ask(**changes), settings()) != request_key(ask(), settings())


@pytest.mark.parametrize(
    "changes",
    [{"base_url": "http://y/v1"}, {"max_tokens": 7}, {"max_tokens_field": "max_completion_tokens"}, {"timeout_s": 3}],
)
def test_what_does_not_decide_the_reply_leaves_the_key_alone(changes):
    assert request_key(ask(), settings().model_copy(update=changes)) == request_key(ask(), settings())


def test_keys_of_earlier_versions_stay_valid():
    # Written down once: replies in users' files are found by it.
    assert request_key(ask(), settings()) == "3e60137d8584a30eeea895a8ed76c01164ffce8e5b6d6fa68b1009286e04922d"


def test_each_sample_has_a_seed_of_its_own():
    seeds = [body_of(ask(sample=i), settings(seed=5))["seed"] for i in range(3)]
    assert seeds == [5, 6, 7]


def test_extra_body_is_sent_and_may_not_replace_what_the_client_sets():
    assert body_of(ask(), settings(extra_body={"min_p": 0.1}))["min_p"] == 0.1
    with pytest.raises(ValidationError, match="messages, stream cannot be set here"):
        settings(extra_body={"messages": [], "stream": True})


def test_the_limit_of_tokens_goes_by_the_name_that_the_endpoint_knows():
    body = body_of(ask(max_tokens=9), settings(max_tokens_field="max_completion_tokens"))
    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body
    assert most_reply_tokens(body) == 9


def test_a_tool_takes_the_reply_by_its_schema():
    body = body_of(ask(schema=SCHEMA), settings(), Structure.TOOL)
    assert body["tools"][0]["function"]["parameters"] == SCHEMA
    assert body["tool_choice"]["function"]["name"] == body["tools"][0]["function"]["name"]


def test_text_goes_out_as_utf8_and_half_a_surrogate_pair_escaped():
    assert "grüße".encode() in encoded({"content": "grüße"})
    assert b"\\ud83d" in encoded({"content": "\ud83d"})
