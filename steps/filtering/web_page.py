"""What is left of a web page when its menus, notices and code are gone: the rules of C4.

Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer"
(JMLR 21:140). Lines that do not end like a sentence, that have fewer than three words or that speak of
JavaScript or of cookies do not count; a page with fewer than five sentences in the lines that do goes, and so does
one with a curly bracket or "lorem ipsum" in them. Unlike the paper's code, no line is cut out of a row: what a model
answered stands whole or goes whole. The rules are made for web pages and off elsewhere: every program fails them.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from steps.filtering.answer_stats import AnswerStats
from steps.filtering.batch import Batch, Measure, Outcome
from steps.filtering.patterns import may_match
from steps.filtering.row import Failure, FilterReason
from steps.settings import Settings

#: What makes a line not count, and what makes a page go.
NOTICE = re.compile(
    r"javascript|terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies", re.IGNORECASE
)
LOREM_IPSUM = re.compile(r"lorem ipsum", re.IGNORECASE)
#: Marks of notes, which are taken out of a line before its end is looked at.
CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")


class WebPageSettings(Settings):
    """The rules of C4, each switchable."""

    min_sentences: int | None = Field(5, ge=0)
    """Least number of sentences in the lines of a turn that count; none switches the rule off."""
    drop_curly_brackets: bool = True
    """Drop a row with a curly bracket in a line that counts."""
    drop_lorem_ipsum: bool = True
    """Drop a row with "lorem ipsum" in a line that counts."""


def web_page_remains(batch: Batch, settings: WebPageSettings) -> Outcome:
    """Find the rows with too little running text in an assistant turn."""
    stats = batch.answer_stats()
    sentences, brackets, lorem = _counts(batch, stats)
    failures = []
    if settings.drop_lorem_ipsum:
        failures += [Failure(int(stats.rows[turn]), FilterReason.LOREM_IPSUM) for turn in np.flatnonzero(lorem)]
    if settings.drop_curly_brackets:
        failures += [Failure(int(stats.rows[turn]), FilterReason.CURLY_BRACKET) for turn in np.flatnonzero(brackets)]
    if settings.min_sentences is None:
        return Outcome(failures)
    measure = Measure(stats.smallest(sentences), settings.min_sentences, FilterReason.TOO_FEW_SENTENCES)
    return Outcome(failures, measures=[measure])


def _counts(
    batch: Batch, stats: AnswerStats
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return, per assistant turn, the sentences that count, and whether a bracket or "lorem ipsum" is among them.

    The kernel knows no phrases; the few turns that hold one are counted again without the lines in which it stands.
    """
    sentences, brackets = stats.column("SENTENCES").copy(), stats.column("BRACES") > 0
    lorem = np.zeros(len(sentences), np.bool_)
    answers = batch.contents.take(pa.array(batch.answer_turns))
    special = np.logical_or.reduce([may_match(answers, pattern) for pattern in (NOTICE, LOREM_IPSUM, CITATION)])
    turns = np.flatnonzero(special)
    if len(turns):
        texts = [CITATION.sub("", text) for text in answers.take(pa.array(turns)).to_pylist()]
        lorem[turns] = [_counts_with(LOREM_IPSUM, text) for text in texts]
        left = ["\n".join(line for line in text.splitlines() if not NOTICE.search(line)) for text in texts]
        again = AnswerStats.of_texts(pa.array(left, pa.large_string()), np.arange(len(turns)), len(turns), 0)
        sentences[turns], brackets[turns] = again.column("SENTENCES"), again.column("BRACES") > 0
    return sentences, brackets, lorem


def _counts_with(pattern: re.Pattern[str], text: str) -> bool:
    """Return whether a pattern is found in a line that ends like a sentence and has three words or more."""
    for line in text.splitlines():
        line = line.strip()
        ends = line.endswith((".", "?", "!", '"', "'")) and not line.endswith("...")
        if ends and len(line.split()) > 2 and pattern.search(line):
            return True
    return False
