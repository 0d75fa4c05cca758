import pytest

from steps.filtering.row import Row, Turn
from steps.filtering.turns import TurnSettings, broken_turns


@pytest.fixture
def defect(batch):
    sound = Row(0, "imported", (Turn("user", "text"), Turn("assistant", "text")))

    def find(*roles, **settings):
        turns = tuple(Turn(*role) if isinstance(role, tuple) else Turn(role, "text") for role in roles)
        failures = broken_turns(batch([sound, Row(1, "imported", turns), sound]), TurnSettings(**settings)).failures
        assert {failure.position for failure in failures} <= {1}
        return [failure.reason.value for failure in failures]

    return find


@pytest.mark.parametrize(
    "roles",
    [
        ("user", "assistant"),
        ("system", "user", "assistant", "user", "assistant"),
        ("user", "assistant", "tool", "tool", "assistant"),
    ],
)
def test_well_formed_conversations_pass(defect, roles):
    assert defect(*roles) == []


@pytest.mark.parametrize(
    ("roles", "reason"),
    [
        ((), "empty_conversation"),
        (("user", "user", "assistant"), "roles_do_not_alternate"),
        (("user", "assistant", "assistant"), "roles_do_not_alternate"),
        (("user", "system", "assistant"), "system_turn_not_first"),
        (("system", "system", "user", "assistant"), "system_turn_not_first"),
        (("assistant",), "not_starting_with_user"),
        (("system", "assistant"), "not_starting_with_user"),
        (("user",), "not_ending_with_assistant"),
        (("system",), "not_ending_with_assistant"),
        (("user", ("assistant", " \n")), "empty_turn"),
        (("human", "assistant"), "unknown_role"),
        (("user", "tool", "assistant"), "roles_do_not_alternate"),
    ],
)
def test_broken_conversations_fall_with_the_first_defect(defect, roles, reason):
    assert defect(*roles) == [reason]


def test_what_is_allowed_can_be_set(defect):
    assert defect("assistant", allow_assistant_first=True) == []
    assert defect("user", "assistant", "tool", "assistant", allow_tool_turns=False) == ["unknown_role"]
