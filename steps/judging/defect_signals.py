"""Surface signals of a prompt and its answer, each with words for a low and a high value.

None of them measures quality. They tell an answer that is broken (cut off, looping, copied, about something else)
from one that is whole, and only relative to the other rows of the same run.
"""

from __future__ import annotations

import math
import re
import zlib
from itertools import pairwise
from typing import NamedTuple


class Signal(NamedTuple):
    """A feature's name, and what to say when an answer's value is unusually low or high."""

    name: str
    low: str
    high: str


SIGNALS = (
    Signal("log_characters", "the answer is very short", "the answer is very long"),
    Signal("length_ratio", "the answer is short for its prompt", "the answer is long for its prompt"),
    Signal("words_per_sentence", "its sentences are very short", "its sentences are very long"),
    Signal("mean_word_length", "its words are unusually short", "its words are unusually long"),
    Signal("distinct_words", "few different words", "hardly any word comes twice"),
    Signal("repeated_trigrams", "no word sequence recurs", "word sequences recur"),
    Signal("repeated_lines", "no sentence recurs", "whole sentences or lines recur"),
    Signal("compression", "the text is highly repetitive", "the text is hardly compressible"),
    Signal("prompt_recall", "it takes up few words of the prompt", "it takes up most words of the prompt"),
    Signal("prompt_share", "few of its words are in the prompt", "most of its words are in the prompt"),
    Signal("copied_4grams", "it does not quote the prompt", "it copies the prompt"),
    Signal("number_recall", "numbers of the prompt are missing", "it repeats the numbers of the prompt"),
    Signal("ends_properly", "it ends in the middle of a sentence", "it ends with a final mark"),
    Signal("ends_on_function_word", "its last word can end a sentence", "its last word cannot end a sentence"),
    Signal("last_line_ratio", "its last line is short", "its last line is long"),
    Signal("open_brackets", "its brackets are closed", "brackets or code fences are left open"),
    Signal("starts_lower", "it starts with a capital or a mark", "it starts in lower case"),
    Signal("refuses", "it does not refuse", "it refuses or speaks of itself as an AI"),
    Signal("function_word_pairs", "function words seldom follow each other", "function words follow each other oddly"),
    Signal("inner_capitals", "few capitals within sentences", "capitals stand in the middle of sentences"),
    Signal("vowelless_words", "its words are pronounceable", "many words have no vowel"),
    Signal("function_words", "hardly any function words", "many function words"),
    Signal("newlines", "few line breaks", "many line breaks"),
    Signal("digits", "few digits", "many digits"),
    Signal("punctuation", "little punctuation", "much punctuation"),
    Signal("ends_unlike_its_lines", "it ends as its other lines do", "it breaks off, and its other lines do not"),
    Signal("repeated_tail", "its end does not recur", "its end repeats itself"),
    Signal("lower_after_end", "its sentences start with capitals", "sentences start in lower case"),
)

_ENGLISH = """
    a an the of to in and or is are was were be been for on with as by at from that this it its i you he she they we not
    do does did can could would should will may might have has had if then than so such there their my your our which
    who what when where how but into over about
"""
FUNCTION_WORDS = frozenset(_ENGLISH.split())
_REFUSAL = re.compile(
    r"\b(?:i(?:['’]m| am) (?:sorry|unable|not able)|i can(?:no|['’]|\s?no)t|as an ai\b|"
    r"i (?:do not|don['’]t) have (?:access|the ability))",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+|\n+")
_SENTENCE_MARKS = frozenset(".!?…。！？")
_FINAL_MARKS = _SENTENCE_MARKS | frozenset(")]}>;\"'`|*_」”’")
#: After these something follows.
_OPEN_MARKS = frozenset(",:([{<+=&/-–—“‘「")
_AFTER_END = re.compile(r"[.!?]\s+[^\W\d_]")
_LOWER_AFTER_END = re.compile(r"[.!?]\s+[a-zà-öø-ÿ]")
#: Words of the longest passage that is looked for at the end: a long sentence.
_LONGEST_PERIOD = 60
_VOWEL = re.compile(r"[aeiouyà-öø-ÿ]|[^\x00-\x7f]", re.IGNORECASE)


def measure(prompt: str, answer: str) -> list[float]:
    """Return one value per entry of `SIGNALS`; about 0.1 ms for an answer of 100 words."""
    answer = answer.strip()
    raw_words = _WORD.findall(answer)
    words = [word.lower() for word in raw_words]
    asked = [word.lower() for word in _WORD.findall(prompt)]
    sentences = [part for part in _SENTENCE_END.split(answer) if part.strip()]
    return [
        *_size(answer, words, asked, sentences),
        *_repetition(answer, words, sentences),
        *_overlap(words, asked),
        *_ending(answer, words),
        float(answer[:1].islower()),
        float(bool(_REFUSAL.search(answer))),
        *_order(raw_words, words, sentences),
        _share(answer.count("\n"), len(answer)),
        _share(sum(character.isdigit() for character in answer), len(answer)),
        _share(sum(character in ".,;:!?" for character in answer), len(answer)),
        _ends_unlike_its_lines(answer),
        _repeated_tail(words),
        _share(len(_LOWER_AFTER_END.findall(answer)), len(_AFTER_END.findall(answer))),
    ]


def words_of(text: str) -> list[str]:
    """Return the words in lower case, without marks."""
    return [word.lower() for word in _WORD.findall(text)]


def last_words(text: str) -> list[str]:
    """Return the last word of each sentence and line, in lower case."""
    parts = [_WORD.findall(part) for part in _SENTENCE_END.split(text)]
    return [words[-1].lower() for words in parts if words]


def _ends_unlike_its_lines(answer: str) -> float:
    """Return 0 for a final mark, else the share of its other lines (and one that is assumed) that have one."""
    lines = [line.rstrip() for line in answer.splitlines() if line.strip()]
    if not lines or lines[-1][-1] in _FINAL_MARKS:
        return 0.0
    return (1 + sum(line[-1] in _FINAL_MARKS for line in lines[:-1])) / len(lines)


def _repeated_tail(words: list[str]) -> float:
    """Return the largest share of the words that is one passage over and over, up to the end."""
    n, longest = len(words), 0
    for period in range(1, min(_LONGEST_PERIOD, n // 2) + 1):
        if words[n - 1] != words[n - 1 - period]:
            continue
        at = n - 1
        while at >= period and words[at] == words[at - period]:
            at -= 1
        repeated = n - 1 - at
        if repeated >= period:
            longest = max(longest, repeated)
    return _share(longest, n)


def _size(answer: str, words: list[str], asked: list[str], sentences: list[str]) -> list[float]:
    return [
        math.log1p(len(answer)),
        math.log((len(words) + 1) / (len(asked) + 1)),
        _share(len(words), len(sentences)),
        _share(sum(map(len, words)), len(words)),
    ]


def _repetition(answer: str, words: list[str], sentences: list[str]) -> list[float]:
    trigrams = list(zip(words, words[1:], words[2:], strict=False))
    data = answer.encode("utf-8", "surrogatepass")
    return [
        _share(len(set(words)), len(words)),
        1 - _share(len(set(trigrams)), len(trigrams)) if trigrams else 0.0,
        1 - _share(len(set(sentences)), len(sentences)) if sentences else 0.0,
        # Below 40 bytes the container outweighs the content.
        len(zlib.compress(data)) / len(data) if len(data) > 40 else 1.0,
    ]


def _overlap(words: list[str], asked: list[str]) -> list[float]:
    said, wanted = set(words) - FUNCTION_WORDS, set(asked) - FUNCTION_WORDS
    copied = set(zip(asked, asked[1:], asked[2:], asked[3:], strict=False))
    fourgrams = list(zip(words, words[1:], words[2:], words[3:], strict=False))
    numbers = {word for word in wanted if word.isdigit()}
    return [
        _share(len(said & wanted), len(wanted)),
        _share(len(said & wanted), len(said)),
        _share(sum(gram in copied for gram in fourgrams), len(fourgrams)),
        _share(len(numbers & said), len(numbers)) if numbers else 0.5,
    ]


def _ending(answer: str, words: list[str]) -> list[float]:
    lines = answer.splitlines() or [""]
    mean_length = len(answer) / len(lines)
    opened = sum(abs(answer.count(left) - answer.count(right)) for left, right in ("()", "[]", "{}", "“”"))
    opened += answer.count('"') % 2 + answer.count("**") % 2
    return [
        _finality(answer),
        float(bool(words) and words[-1] in FUNCTION_WORDS),
        _share(len(lines[-1]), mean_length),
        float(opened + answer.count("```") % 2),
    ]


def _finality(answer: str) -> float:
    """Return how fit for an end the last character is: a comma is not, a letter hardly, a closing mark rather."""
    last = answer[-1:]
    if not last or last in _OPEN_MARKS:
        return 0.0
    if last in _SENTENCE_MARKS:
        return 1.0
    if last in _FINAL_MARKS:
        return 0.8
    return 0.2 if last.isalpha() else 0.4


def _order(raw_words: list[str], words: list[str], sentences: list[str]) -> list[float]:
    is_function = [word in FUNCTION_WORDS for word in words]
    pairs = sum(left and right for left, right in pairwise(is_function))
    capitals = sum(word[:1].isupper() for word in raw_words)
    starts = sum(sentence[:1].isupper() for sentence in sentences)
    return [
        _share(pairs, len(words) - 1),
        _share(max(0, capitals - starts), len(words)),
        _share(sum(not word.isdigit() and not _VOWEL.search(word) for word in words), len(words)),
        _share(sum(is_function), len(words)),
    ]


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0
