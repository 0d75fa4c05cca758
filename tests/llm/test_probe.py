import json

import pytest

from steps.llm.endpoint import EndpointSettings
from steps.llm.probe import Capability, needed
from steps.llm.request import ChatRequest, Failed

SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}


def ask(text, **changes):
    return ChatRequest([{"role": "user", "content": text}], **changes)


@pytest.fixture
def scoring(endpoint):
    endpoint.answer = lambda messages: '{"score": 2}'
    return endpoint


@pytest.mark.parametrize(
    ("can", "structure", "sent"),
    [({"json_schema"}, "json_schema", "response_format"), ({"tool"}, "tool", "tools"), (set(), "prompt", None)],
)
def test_a_schema_is_asked_for_in_the_firmest_way_that_works(scoring, make_client, can, structure, sent):
    scoring.can = can
    client = make_client()
    (reply,) = client.complete_all([ask("a", schema=SCHEMA)])
    assert (reply.error, json.loads(reply.text)) == (None, {"score": 2})
    assert client.capabilities == {"tiny-2026": {"structured": structure}}
    assert {"response_format", "tools"} & scoring.bodies[0].keys() == ({sent} if sent else set())
    says_schema = json.dumps(SCHEMA) in scoring.bodies[0]["messages"][-1]["content"]
    assert says_schema == (structure == "prompt")


def test_the_way_does_not_change_the_cache_key(scoring, make_client):
    make_client().complete_all([ask("a", schema=SCHEMA)])
    scoring.can = set()
    moved = scoring.base_url.replace("127.0.0.1", "localhost")
    assert make_client(base_url=moved).complete_all([ask("a", schema=SCHEMA)])[0].cached


def test_findings_outlive_the_run(scoring, make_client):
    make_client().complete_all([ask("a", schema=SCHEMA)])
    client = make_client()
    client.complete_all([ask("b", schema=SCHEMA)])
    assert len(scoring.probes) == 1
    assert client.capabilities == {"tiny-2026": {"structured": "json_schema"}}


def test_another_model_is_probed_by_itself(scoring, make_client):
    make_client().complete_all([ask("a", schema=SCHEMA)])
    make_client(model="other").complete_all([ask("a", schema=SCHEMA)])
    assert [body["model"] for body in scoring.probes] == ["tiny", "other"]


def test_nothing_is_probed_that_no_open_request_needs(scoring, make_client):
    make_client().complete_all([ask("a")])
    assert scoring.probes == []
    make_client().complete_all([])
    make_client(probe=False).complete_all([ask("b", schema=SCHEMA)])
    assert scoring.probes == []
    make_client(model="tiny").complete_all([ask("a"), ask("b", schema=SCHEMA)])
    assert scoring.probes == [], "all of it was cached"


def test_a_refusal_is_heeded_and_tried_again_in_the_next_run(scoring, make_client):
    scoring.refuses_schema = True
    make_client().complete_all([ask("a", schema=SCHEMA)])
    assert "response_format" not in scoring.bodies[0]
    scoring.refuses_schema = False
    make_client().complete_all([ask("b", schema=SCHEMA)])
    assert "response_format" in scoring.bodies[1]


@pytest.mark.parametrize("gives", [True, False])
def test_log_probabilities_come_back_or_are_known_not_to(scoring, make_client, gives):
    scoring.can = {"logprobs"} if gives else set()
    client = make_client()
    (reply,) = client.complete_all([ask("a", top_logprobs=2)])
    expected = [
        {"token": "a", "logprob": -0.1, "top": [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -2.5}]}
    ]
    assert reply.logprobs == (expected if gives else None)
    assert client.capabilities == {"tiny-2026": {"logprobs": gives}}
    assert ("top_logprobs" in scoring.bodies[0]) == gives
    (again,) = make_client().complete_all([ask("a", top_logprobs=2)])
    assert again.cached
    assert (again.logprobs, again.finish_reason) == (reply.logprobs, "stop")


@pytest.mark.parametrize("heeds", [True, False])
def test_a_seed_is_probed_by_asking_the_same_twice(scoring, make_client, heeds):
    scoring.can = {"seed"} if heeds else set()
    client = make_client(seed=11, temperature=0.7)
    client.complete_all([ask("a", sample=3)])
    assert client.capabilities == {"tiny-2026": {"seed": heeds}}
    assert len(scoring.probes) == 2
    assert scoring.bodies[0].get("seed") == (14 if heeds else None)


def test_what_a_request_needs():
    endpoint = EndpointSettings(base_url="http://x/v1", model="m", seed=1)
    assert needed(ask("a"), endpoint) == set(), "greedy decoding needs no seed"
    assert needed(ask("a", temperature=1.0), endpoint) == {Capability.SEED}
    assert needed(ask("a", schema=SCHEMA, top_logprobs=1), endpoint) == {Capability.JSON_SCHEMA, Capability.LOGPROBS}


def test_a_schema_refused_late_is_asked_for_in_the_next_way_and_the_reply_repaired_once(scoring, make_client):
    scoring.refuses_schema = True
    scoring.answer = lambda messages: '{"score": "two"}'
    (reply,) = make_client(probe=False).complete_all([ask("a", schema=SCHEMA)])
    assert reply.failure is Failed.INVALID_REPLY
    ways = [sorted({"response_format", "tools"} & body.keys()) for body in scoring.bodies]
    assert ways == [["response_format"], ["tools"], ["tools"]]
    assert "score is not of type integer" in scoring.bodies[-1]["messages"][-1]["content"]
