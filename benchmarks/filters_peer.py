"""The part of `benchmarks.filters` that runs in the peer's own environment: datatrove's filters on the same texts.

    PEERS_PYTHON benchmarks/filters_peer.py TEXTS.jsonl RESULT.json

Every rule is asked by datatrove's own code, by a filter whose other thresholds are off; then its four filters run as
a user runs them, and their CPU seconds are taken.
"""

import json
import resource
import sys
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)

#: What switches a rule of a filter off.
QUALITY_OFF = {
    "min_doc_words": None,
    "max_doc_words": None,
    "min_avg_word_length": None,
    "max_avg_word_length": None,
    "max_symbol_word_ratio": None,
    "max_bullet_lines_ratio": None,
    "max_ellipsis_lines_ratio": None,
    "max_non_alpha_words_ratio": None,
    "min_stop_words": None,
}
REPETITION_OFF = {
    "dup_line_frac": None,
    "dup_para_frac": None,
    "dup_line_char_frac": None,
    "dup_para_char_frac": None,
    "top_n_grams": (),
    "dup_n_grams": (),
}
FINEWEB_OFF = {"line_punct_thr": -1, "short_line_thr": 2, "char_duplicates_ratio": 2, "new_line_ratio": 1e9}
C4_OFF = {"min_num_sentences": -1, "filter_lorem_ipsum": False, "filter_curly_bracket": False}
TOP = ((2, 0.2), (3, 0.18), (4, 0.16))
REPEATED = ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))


def rules() -> dict:
    """Return a filter for each rule, by the name that our side gives it."""
    quality = {
        "too_few_document_words": {"min_doc_words": 50},
        "too_many_document_words": {"max_doc_words": 100_000},
        "words_too_short": {"min_avg_word_length": 3},
        "words_too_long": {"max_avg_word_length": 10},
        "too_many_hashes_or_ellipses": {"max_symbol_word_ratio": 0.1},
        "too_many_bullet_lines": {"max_bullet_lines_ratio": 0.9},
        "too_many_ellipsis_lines": {"max_ellipsis_lines_ratio": 0.3},
        "too_few_alphabetic_words": {"max_non_alpha_words_ratio": 0.8},
        "too_few_stop_words": {"min_stop_words": 2},
    }
    repetition = {
        "repeated_lines": {"dup_line_frac": 0.3},
        "repeated_line_characters": {"dup_line_char_frac": 0.2},
        "repeated_paragraphs": {"dup_para_frac": 0.3},
        "repeated_paragraph_characters": {"dup_para_char_frac": 0.2},
        **{f"top_{n}_gram_dominates": {"top_n_grams": ((n, limit),)} for n, limit in TOP},
        **{f"repeated_{n}_grams": {"dup_n_grams": ((n, limit),)} for n, limit in REPEATED},
    }
    fineweb = {
        "too_few_lines_end_sentences": {"line_punct_thr": 0.12},
        "too_many_short_lines": {"short_line_thr": 0.67},
        "repeated_full_line_characters": {"char_duplicates_ratio": 0.01},
        "too_many_line_breaks": {"new_line_ratio": 0.3},
    }
    c4 = {
        "too_few_sentences": {"min_num_sentences": 5},
        "lorem_ipsum": {"filter_lorem_ipsum": True},
        "curly_bracket": {"filter_curly_bracket": True},
    }
    return (
        {name: GopherQualityFilter(**{**QUALITY_OFF, **on}) for name, on in quality.items()}
        | {name: GopherRepetitionFilter(**{**REPETITION_OFF, **on}) for name, on in repetition.items()}
        | {name: FineWebQualityFilter(**{**FINEWEB_OFF, **on}) for name, on in fineweb.items()}
        | {name: C4QualityFilter(**{**C4_OFF, **on}) for name, on in c4.items()}
    )


def drops(rule, text: str) -> bool | None:
    """Return whether a filter drops a text; None where it fails on it."""
    try:
        result = rule.filter(Document(text=text, id="0"))
    except (ZeroDivisionError, AssertionError):
        return None
    return not (result[0] if isinstance(result, tuple) else result)


def decisions(filters: dict, texts: list[str]) -> dict:
    """Ask every filter about every text, text by text: datatrove remembers the tokens of the last few."""
    found = {name: [] for name in filters}
    for text in texts:
        for name, rule in filters.items():
            found[name].append(drops(rule, text))
    return found


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    texts = [json.loads(line)["text"] for line in Path(sys.argv[1]).read_text(encoding="utf-8").split("\n") if line]
    n_timed = int(sys.argv[3]) if len(sys.argv) > 3 else len(texts)
    four = {
        "GopherQualityFilter": GopherQualityFilter(),
        "GopherRepetitionFilter": GopherRepetitionFilter(),
        "FineWebQualityFilter": FineWebQualityFilter(),
        "C4QualityFilter": C4QualityFilter(),
    }
    drops(four["GopherQualityFilter"], "The tokenizer is loaded before the clock starts, as ours is compiled.")
    seconds = []
    for _ in range(3):
        begin = cpu_s()
        for text in texts[:n_timed]:
            for rule in four.values():
                drops(rule, text)
        seconds.append(cpu_s() - begin)
    found = {
        "filters": decisions(four, texts),
        "rules": decisions(rules(), texts),
        "cpu_s": seconds,
        "n_timed": n_timed,
        "version": __import__("importlib.metadata").metadata.version("datatrove"),
    }
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
