from typing import Any

from steps.synthesis.estimate import estimate
from steps.synthesis.generate import generate
from tests.synthesis.generators import completing, count_words, honest
from tests.synthesis.test_generate import MODEL, TEXT, settings
from tests.synthesis.test_synthesise import documents

TEXTS = [TEXT + f"It is number {n} of them.\n" * (10 * n) for n in range(5)]


def both(**changes: Any) -> tuple[Any, list[tuple[int, int]]]:
    """Return the estimate, and the tokens of the prompts that the run then asks."""
    tried = settings(**{"chunks": {"max_tokens": 150, "min_tokens": 5}, **changes})
    sent: list[tuple[int, int]] = []

    def counting(messages: list[dict[str, str]]) -> str:
        reply = honest(messages)
        sent.append((sum(count_words([message["content"] for message in messages])), count_words([reply])[0]))
        return reply

    foreseen = estimate(documents(*TEXTS), tried, count_words)
    generate(documents(*TEXTS), tried, count_words, completing(counting), completing(honest))
    return foreseen, sent


def test_first_requests_are_foreseen_exactly_and_their_tokens_nearly() -> None:
    foreseen, sent = both(kinds={"question_answering": 2, "summary": 1}, personas="personas_v1")
    assert foreseen.generator.requests == len(sent)
    tokens = sum(prompt for prompt, _ in sent)
    assert abs(foreseen.generator.prompt_tokens - tokens) < 0.1 * tokens
    assert foreseen.n_documents == 5


def test_worst_case_is_never_exceeded() -> None:
    foreseen, sent = both(evolve={"share": 1.0, "rounds": 2}, revise=True)
    assert foreseen.generator.requests <= foreseen.generator_worst.requests
    assert len(sent) <= foreseen.generator_worst.requests
    assert sum(prompt for prompt, _ in sent) <= foreseen.generator_worst.prompt_tokens
    assert sum(reply for _, reply in sent) <= foreseen.generator_worst.completion_tokens


def test_evolution_revision_and_judge_cost_more() -> None:
    plain = estimate(documents(*TEXTS), settings(), count_words)
    assert plain.judge.requests == 0
    evolved = estimate(documents(*TEXTS), settings(evolve={"share": 1.0}), count_words)
    assert evolved.generator.requests > plain.generator.requests
    judged = estimate(documents(*TEXTS), settings(ground={"judge": {"model": MODEL}}), count_words)
    assert judged.judge_worst.requests >= judged.judge.requests > 0
    assert judged.generator == plain.generator


def test_sizes_alone_give_about_the_same() -> None:
    tried = settings(chunks={"max_tokens": 150, "min_tokens": 5})
    exact = estimate(documents(*TEXTS), tried, count_words)
    rough = estimate(count_words(TEXTS), tried)
    assert abs(rough.generator.requests - exact.generator.requests) <= 0.5 * exact.generator.requests
    assert estimate([], tried).generator.requests == estimate([2], tried).generator.requests == 0
