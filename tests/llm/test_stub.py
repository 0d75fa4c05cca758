"""The stub is the fault injector of other tests and the measure of the benchmark, so it is held to its word here."""

import json
import urllib.error
import urllib.request

import pytest

from benchmarks.llm_stub import PLAN, RETRY_AFTER_S, Fault, Stub, fault_of
from steps.llm.client import ChatClient
from steps.llm.endpoint import EndpointSettings
from steps.llm.json_reply import schema_problem
from steps.llm.request import ChatRequest

SCHEMA = {
    "type": "object",
    "properties": {
        "rationale": {"type": "string"},
        "score": {"type": "integer", "minimum": 1, "maximum": 5},
        "kind": {"type": "string", "enum": ["fact", "style"]},
        "points": {"type": "array", "items": {"type": "string"}, "minItems": 2},
    },
    "required": ["rationale", "score", "kind", "points"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def running():
    with Stub(latency_s=0.01) as stub:
        yield stub


@pytest.fixture
def stub(running):
    running.reset()
    return running


def ask(base_url, content, timeout_s=5.0, **body):
    """Ask once, without a client that would try again."""
    wants = {"model": "m", "messages": [{"role": "user", "content": content}], **body}
    request = urllib.request.Request(f"{base_url}/chat/completions", json.dumps(wants).encode())
    with urllib.request.urlopen(request, timeout=timeout_s) as response:
        return json.load(response)["choices"][0]


def prompt_with(fault):
    return next(f"prompt-{i}" for i in range(10_000) if fault_of(str(i)) is fault)


def number_of(prompt):
    return prompt.partition("-")[2]


def test_one_prompt_in_ten_meets_each_fault_in_its_share():
    met = [fault_of(str(i)) for i in range(20_000)]
    for fault, share in PLAN.items():
        assert met.count(fault) == pytest.approx(20 * share, rel=0.2)


def test_replies_fit_the_schema_and_are_the_same_every_time(stub):
    wants = {"response_format": {"type": "json_schema", "json_schema": {"name": "r", "schema": SCHEMA}}}
    texts = [ask(stub.base_url, f"prompt-{i}", **wants)["message"]["content"] for i in range(20)]
    assert [schema_problem(text, SCHEMA) for text in texts] == [None] * 20
    assert len({json.loads(text)["score"] for text in texts}) > 1
    assert ask(stub.base_url, "prompt-0", **wants)["message"]["content"] == texts[0]


def test_attempts_and_answers_are_counted_by_prompt(stub):
    ask(stub.base_url, "prompt-1")
    ask(stub.base_url, "prompt-1")
    ask(stub.base_url, "prompt-2")
    assert stub.prompts() == {"1": {"attempts": 2, "answers": 2}, "2": {"attempts": 1, "answers": 1}}
    ask(stub.base_url, "no mark")
    assert stub.stats()["prompts"] == 3
    stub.reset()
    assert stub.prompts() == {}


def test_a_refused_client_is_told_how_long_to_wait(stub):
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(stub.faulty_url, prompt_with(Fault.RATE_LIMITED))
    with caught.value as error:
        assert (error.code, error.headers["Retry-After"]) == (429, str(RETRY_AFTER_S))


def test_each_fault_strikes_the_first_attempt_only(stub):
    broken, server_error, hang = (prompt_with(each) for each in (Fault.RESET, Fault.SERVER_ERROR, Fault.HANG))
    with pytest.raises(ConnectionResetError):
        ask(stub.faulty_url, broken)
    with pytest.raises(urllib.error.HTTPError, match="500") as caught:
        ask(stub.faulty_url, server_error)
    caught.value.close()
    with pytest.raises(TimeoutError):
        ask(stub.faulty_url, hang, timeout_s=0.1)
    truncated = ask(stub.faulty_url, prompt_with(Fault.TRUNCATED))
    assert truncated["finish_reason"] == "length"
    for prompt in (broken, server_error, hang, prompt_with(Fault.TRUNCATED)):
        assert ask(stub.faulty_url, prompt)["finish_reason"] == "stop"
        assert stub.prompts()[number_of(prompt)] == {"attempts": 2, "answers": 1}


def test_the_client_ends_every_row_under_all_faults_within_its_retries(stub, tmp_path):
    """Each fault occurs in four hundred rows; the time limit ends the hang, and the slow reply too."""
    n, retries = 400, 3
    assert {fault_of(str(i)) for i in range(n)} == {None, *Fault}
    client = ChatClient(
        EndpointSettings(
            base_url=stub.faulty_url,
            model="m",
            max_concurrency=64,
            timeout_s=0.5,
            max_retries=retries,
            backoff_s=0.01,
            max_wait_s=0.05,
            cache_path=str(tmp_path / "replies.sqlite"),
        )
    )
    requests = [ChatRequest([{"role": "user", "content": f"prompt-{i}"}], SCHEMA) for i in range(n)]
    replies = client.complete_all(requests)
    assert [reply.error for reply in replies] == [None] * n
    assert [schema_problem(reply.text, SCHEMA) for reply in replies] == [None] * n
    counted = {number: each for number, each in stub.prompts().items() if number.isdigit()}
    assert len(counted) == n
    assert {each["answers"] for each in counted.values()} == {1}
    assert max(each["attempts"] for each in counted.values()) <= retries + 1
    assert all(each["attempts"] == 2 for number, each in counted.items() if fault_of(number) is not None)
