"""A thousand judge calls in a process of its own, which `test_kill.py` kills.

    python judging_child.py SETTINGS_JSON

Prints the number of replies without an error, and of those that the cache held.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from steps.llm.client import ChatClient
from steps.llm.endpoint import EndpointSettings
from steps.llm.request import ChatRequest

N_ROWS = 1_000
RUBRIC = "Grade the answer from 1 (useless) to 5 (nothing to add). Facts count, length does not."
STRICTER = f"{RUBRIC} A single wrong fact allows no more than 2."
SCHEMA = {
    "type": "object",
    "properties": {"rationale": {"type": "string"}, "score": {"type": "integer", "minimum": 1, "maximum": 5}},
    "required": ["rationale", "score"],
    "additionalProperties": False,
}


def request(row: int, rubric: str = RUBRIC) -> ChatRequest:
    graded = f"prompt-{row}: How far is it?\n\nAnswer: It is {row} kilometres."
    return ChatRequest([{"role": "system", "content": rubric}, {"role": "user", "content": graded}], SCHEMA)


def requests(changed: range = range(0)) -> list[ChatRequest]:
    return [request(row, STRICTER if row in changed else RUBRIC) for row in range(N_ROWS)]


if __name__ == "__main__":
    replies = ChatClient(EndpointSettings.model_validate_json(sys.argv[1])).complete_all(requests())
    print(sum(reply.error is None for reply in replies), sum(reply.cached for reply in replies))
