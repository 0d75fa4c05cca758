import pytest

from steps.judging.families import families_of, same_family
from steps.judging.judges import JudgeSettings
from pydantic import TypeAdapter


@pytest.mark.parametrize(
    ("model", "families"),
    [
        ("gpt-4o-mini-2024-07-18", {"gpt"}),
        ("o3-mini", {"gpt"}),
        ("openai/gpt-oss-20b", {"gpt"}),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", {"claude"}),
        ("gemini-2.5-pro", {"gemini"}),
        ("google/gemma-3-4b-it", {"gemma"}),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", {"llama"}),
        ("llama3.1:8b", {"llama"}),
        ("qwen2.5:7b-instruct-q4_K_M", {"qwen"}),
        ("Qwen/QwQ-32B", {"qwen"}),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", {"mistral"}),
        ("deepseek-chat", {"deepseek"}),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", {"deepseek", "llama"}),
        ("microsoft/Phi-4-mini-instruct", {"phi"}),
        ("CohereForAI/c4ai-command-r-plus", {"command"}),
        ("/data/models/llama-7b/checkpoint-30", {"llama"}),
        ("our-grader", set()),
        ("sapphire-7b", set()),
        ("tiny-sophia", set()),
    ],
)
def test_a_family_is_read_off_the_name(model, families):
    assert families_of(model) == families


def judge(**changes):
    model = {"base_url": "http://localhost:1/v1", "model": "gpt-4o"}
    return TypeAdapter(JudgeSettings).validate_python({"type": "llm", "model": {**model, **changes}})


def test_a_judge_of_the_generators_family_is_flagged_by_name():
    (warning,) = same_family([judge(), judge(model="claude-opus-4")], ["gpt-4o-mini", "qwen2.5", "gpt-4.1"])
    assert "llm:gpt-4o " in warning
    assert "gpt-4.1, gpt-4o-mini" in warning


def test_a_configured_family_overrides_the_name_on_both_sides():
    assert same_family([judge(model="grader", family="Llama")], ["llama-3"])
    assert not same_family([judge(family="none of them")], ["gpt-4o"])
    assert same_family([judge()], [("our-model", "gpt")])
    assert not same_family([judge()], [("gpt-4o", "other")])


def test_judges_without_a_model_are_of_no_family():
    defect = TypeAdapter(JudgeSettings).validate_python({"type": "defect"})
    assert same_family([defect], ["gpt-4o"]) == []
