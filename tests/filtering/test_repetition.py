import pytest

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


def reasons(rows, **settings):
    return [failure.reason.value for failure in repetitive(rows, RepetitionSettings(**settings))]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("\n".join(["- the cache cuts latency by 35 percent"] * 8), "repeated_lines"),
        ("\n\n".join([PROSE] * 2), "repeated_paragraphs"),
        ("very good " * 30, "one_ngram_dominates"),
        (" ".join([PROSE] * 3), "repeated_ngrams"),
    ],
)
def test_loops_fall_by_the_measure_that_shows_them(row, answer, reason):
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
def test_prose_code_and_short_answers_pass(row, answer):
    assert reasons([row(answer)]) == []


def test_a_chinese_loop_falls(row):
    assert reasons([row("今天天气很好，我们明天一起去公园散步吧。" * 6)]) == ["repeated_ngrams"]


def test_none_switches_a_measure_off_and_zero_allows_nothing(row):
    loop = row("\n".join(["the same line again"] * 9))
    off = {"max_paragraph_fraction": None, "max_top_ngram_fraction": None, "max_repeated_ngram_fraction": None}
    assert reasons([loop], **off, max_line_fraction=None) == []
    twice = row(PROSE + "\nthe same line again\nthe same line again")
    assert reasons([twice], **off, max_line_fraction=0.0) == ["repeated_lines"]


def test_the_share_and_what_repeats_are_evidence(row):
    (failure,) = repetitive([row("\n".join(["one two three four five"] * 10))], RepetitionSettings())
    assert failure.score == pytest.approx(0.9 * 230 / 230, abs=0.05)
    assert failure.detail.endswith("one two three four five")


def test_short_lines_do_not_count_as_repeated(row):
    answer = "\n".join(f"step{n}\nbreak;" for n in range(16))
    limits = {"max_top_ngram_fraction": None, "max_line_fraction": 0.3}
    assert reasons([row(answer)], **limits) == []
    assert reasons([row(answer)], **limits, min_line_characters=1) == ["repeated_lines"]
