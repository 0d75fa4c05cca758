"""The kernel against the definitions of the papers, written down plainly."""

import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from steps.filtering.answer_stats import STOP_WORDS
from steps.kernels import text_stats as module
from steps.kernels.buffers import texts_of
from steps.kernels.character_flags import character_flags
from tests.kernels.test_text_tokens import tokens

TEXTS = [
    "The cat sat on the mat. The cat sat on the mat, and the dog slept.\n\nThe cat sat on the mat.",
    "- one\n- two\n- one\n\n\n- one\nand that is it...\r\nwith a link: https://example.com/x?y=1 here",
    "a b a b a b a b a b a b",
    "\n\n\n",
    'Caps AND 42 digits, #tags … and — signs {x}!\nThis is a full sentence. And one more! "Done," he said.\n',
    "x",
    "   leading and trailing   ",
    "日本語の文。日本語の文。",
    "Incomprehensibilities " * 40 + "A" * 300 + "7" * 300 + "#" * 300 + "\n" * 300,
]


def stats(texts, min_line_characters=0):
    flat, stop_words = texts_of(pa.array(texts)), texts_of(pa.array(STOP_WORDS))
    table = character_flags()
    hashes = module.word_hashes(stop_words.data, stop_words.offsets)
    return module.text_stats(flat.data, flat.offsets, table, hashes, min_line_characters, 30)


def repeated(parts: list[str]) -> tuple[int, int]:
    seen: set[str] = set()
    again = [part for part in parts if part in seen or seen.add(part)]
    return len(again), sum(map(len, again))


def leapt(words: list[str], n: int) -> int:
    seen, total, i = set(), 0, 0
    while i + n <= len(words):
        gram = tuple(words[i : i + n])
        if gram in seen:
            total += sum(map(len, gram))
            i += n
        else:
            seen.add(gram)
            i += 1
    return total


def plainly(text: str) -> dict[str, float]:
    words = tokens(text)
    lines = re.split("\n+", text)
    paragraphs = re.split("\n{2,}", text.strip())
    full = [line for line in text.split("\n") if line.strip()]
    found = {
        "CHARACTERS": len(text),
        "TOKENS": len(words),
        "ALPHA_TOKENS": sum(any(c.isalpha() for c in word) for word in words),
        "STOP_WORDS": len(set(STOP_WORDS) & set(words)),
        "HASHES": text.count("#"),
        "ELLIPSES": text.count("...") + text.count("…"),
        "LINES": len(text.splitlines()),
        "BULLET_LINES": sum(line.lstrip().startswith(("•", "-")) for line in text.splitlines()),
        "ELLIPSIS_LINES": sum(line.rstrip().endswith(("...", "…")) for line in text.splitlines()),
        "FULL_LINES": len(full),
        "SHORT_LINES": sum(len(line) <= 30 for line in full),
        "LINE_BREAKS": text.count("\n"),
        "REPEATED_FULL_LINE_CHARACTERS": repeated(full)[1],
        "RUN_LINES": len(lines),
        "REPEATED_LINES": repeated(lines)[0],
        "REPEATED_LINE_CHARACTERS": repeated(lines)[1],
        "PARAGRAPHS": len(paragraphs),
        "REPEATED_PARAGRAPHS": repeated(paragraphs)[0],
        "REPEATED_PARAGRAPH_CHARACTERS": repeated(paragraphs)[1],
        "LETTERS": sum(c.isalpha() for c in text),
        "UPPERCASE": sum(c.isupper() for c in text),
        "DIGITS": sum(c in "0123456789" for c in text),
    }
    for n in (2, 3, 4):
        grams = [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
        best = Counter(grams).most_common(1)
        found[f"TOP_{n}"] = len(best[0][0]) * best[0][1] if best else 0
        found[f"TOP_{n}_COUNT"] = best[0][1] if best else 0
    return found | {f"REPEATED_{n}": leapt(words, n) for n in range(5, 11)}


def random_texts(n: int) -> list[str]:
    rng = np.random.default_rng(11)
    pieces = [
        "the",
        "cat",
        "and",
        "sat",
        "don't",
        "x=1",
        "…",
        "...",
        "#",
        "日本",
        "The",
        "end.",
        "\n",
        "\n\n",
        "- a",
        "{",
    ]
    return [" ".join(rng.choice(pieces, rng.integers(1, 80))).replace(" \n", "\n") for _ in range(n)]


@pytest.mark.parametrize("texts", [TEXTS, random_texts(200)], ids=["chosen", "random"])
def test_every_statistic_is_what_the_papers_define(texts):
    values = stats(texts)
    for text, row in zip(texts, values, strict=True):
        for name, expected in plainly(text).items():
            assert row[getattr(module, name)] == expected, (name, text)


def test_a_text_does_not_depend_on_those_beside_it():
    together = stats(TEXTS)
    for text, row in zip(TEXTS, together, strict=True):
        assert np.array_equal(stats([text])[0], row)


def test_short_lines_do_not_repeat_where_they_are_not_to_count():
    (row,) = stats(["  }\nlong enough line\n  }\nlong enough line"], min_line_characters=4)
    assert row[module.REPEATED_LINES] == 1
    assert row[module.LINE_AT : module.LINE_AT + 2].tolist() == [25, 41]


def test_sentences_count_in_lines_that_end_like_one():
    lines = ["Home", "This is one. This is two.", "no end here", "Is this 3.5 or e.g. four? Yes, it is!", "Too short."]
    (row,) = stats(["\n".join([*lines, "Trailing off here..."])])
    assert row[module.SENTENCES] == 4
    assert stats(["Look {here} at this.", "Look {here}"])[:, module.BRACES].tolist() == [1, 0]


def test_urls_are_measured_up_to_the_next_space():
    url = "https://example.com/a?b=c"
    assert stats([f"see {url} and HTTP://x.y now"])[0][module.URL_CHARACTERS] == len(url) + len("HTTP://x.y")
    assert stats(["a:/b std::cout ratio 3:/4"])[0][module.URL_CHARACTERS] == 0
