import pytest

from steps.filtering.batch import Batch
from steps.filtering.engine import failures_of
from steps.filtering.repetition import RepetitionSettings, repetitive

PROSE = (
    "The router forwards each request to the worker with the shortest queue. When a worker stops answering, its "
    "requests go back to the router, which tries the next one and remembers the failure for a minute."
)

C_CODE = "".join(f"if ({name}) {{\n    {name}.run();\n}}\n" for name in "abcdef") + "return a + b + c + d + e + f;"
RECURSION = """\
def fibonacci(n):
    if n < 2:
        return n
    return fibonacci(n - 1) + fibonacci(n - 2)

print(fibonacci(9))
"""


OFF = {name: None for name in RepetitionSettings.model_fields if name.startswith("max_")}


@pytest.fixture
def reasons(batch):
    """The first reason of each row that falls."""

    def find(rows, **settings):
        found = failures_of(repetitive(batch(rows), RepetitionSettings(**settings)))
        return [failure.reason.value for failure in found.values()]

    return find


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("\n".join(["- the cache cuts latency by 35 percent"] * 8), "repeated_lines"),
        ("\n\n".join([PROSE] * 2), "repeated_paragraphs"),
        ("very good " * 30, "top_2_gram_dominates"),
        (" ".join([PROSE] * 3), "repeated_5_grams"),
    ],
)
def test_loops_fall_by_the_measure_that_shows_them(row, reasons, answer, reason):
    assert reasons([row(answer)]) == [reason]


@pytest.mark.parametrize(
    "answer",
    [
        PROSE,
        "no no no",
        C_CODE,
        RECURSION,
    ],
)
def test_prose_code_and_short_answers_pass(row, reasons, answer):
    assert reasons([row(answer)]) == []


def test_a_chinese_loop_falls(row, reasons):
    assert reasons([row("今天天气很好，我们明天一起去公园散步吧。" * 6)]) == ["repeated_5_grams"]


def test_none_switches_a_measure_off_and_zero_allows_nothing(row, reasons):
    loop = row("\n".join(["the same line again"] * 9))
    assert reasons([loop], **OFF) == []
    twice = row(PROSE + "\nthe same line again\nthe same line again")
    assert reasons([twice], **OFF | {"max_line_fraction": 0.0}) == ["repeated_lines"]
    assert reasons([twice], **OFF | {"max_line_character_fraction": 0.0}) == ["repeated_line_characters"]


def test_the_share_and_what_repeats_are_evidence(row, batch):
    rows = batch([row("\n".join(["one two three four five"] * 10))])
    failure = failures_of(repetitive(rows, RepetitionSettings()))[0]
    assert failure.score == pytest.approx(0.9)
    assert failure.detail.endswith("> 0.4: one two three four five")
    settings = RepetitionSettings(**OFF | {"max_repeated_5_gram_fraction": 0.3})
    prose = batch([row(f"Once é upon a time. {PROSE} And then: {PROSE}")])
    failure = failures_of(repetitive(prose, settings))[0]
    assert failure.detail.endswith(": The router forwards each request")


def test_short_lines_do_not_count_as_repeated(row, reasons):
    answer = "\n".join(f"step{n}\nbreak;" for n in range(16))
    limits = OFF | {"max_line_fraction": 0.3}
    assert reasons([row(answer)], **limits) == []
    assert reasons([row(answer)], **limits, min_line_characters=1) == ["repeated_lines"]


def test_a_gram_that_occurs_once_is_no_repetition_unless_the_paper_is_followed_to_the_letter(row, reasons):
    limits = OFF | {"max_top_2_gram_fraction": 0.2, "min_words": 0}
    assert reasons([row("Certainly not")], **limits) == []
    assert reasons([row("Certainly not")], **limits, min_occurrences=1) == ["top_2_gram_dominates"]


def test_the_worst_of_several_answers_counts(examples):
    loop = " ".join([PROSE] * 3)
    turns = [("user", "a"), ("assistant", PROSE), ("user", "b"), ("assistant", loop), ("user", "c"), ("assistant", "d")]
    table = examples([("user", "a"), ("assistant", PROSE)], turns)
    assert list(failures_of(repetitive(Batch(table), RepetitionSettings()))) == [1]
