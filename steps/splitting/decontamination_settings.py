"""The settings of decontamination."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from steps.dedup.embedding import EncoderSettings
from steps.settings import Settings


class CoverageSettings(Settings):
    """Words of a protected text that shared n-grams cover."""

    ngram_words: int = Field(8, ge=3, le=50)
    """Words of an n-gram. 8 as in PaLM (Chowdhery et al. 2022)."""

    min_coverage: float = Field(0.8, gt=0, le=1)
    """Least share of the protected text's words. 0.8 is Llama 2's bound of a dirty row (Touvron et al. 2023, A.6)."""


class EmbeddingOverlapSettings(EncoderSettings):
    """Texts that say the same in other words."""

    threshold: float = Field(0.95, ge=0, le=1)
    """Least cosine of a searched and a protected text."""


class DecontaminationSettings(Settings):
    """What counts as an overlap with the test split or a benchmark, and what happens then."""

    ngram_words: int = Field(13, ge=3, le=50)
    """Words of an n-gram. 13 as in Brown et al. 2020. Texts of fewer words are compared as a whole and by coverage;
    answers of fewer words are not compared: "Yes." leaks nothing."""

    min_overlap: float | None = Field(0.4, gt=0, le=1)
    """Least share of telling n-grams that two texts have in common, of the shorter text's. On GPTeacher's code, pairs
    below 0.4 are mostly the same idiom for another task; on GSM8K, pairs above it are one problem with new numbers.
    None turns the n-grams of `ngram_words` off."""

    coverage: CoverageSettings | None = CoverageSettings()
    """Coverage of a protected text by shorter n-grams, which sees through inserted words. None turns it off."""

    embedding: EmbeddingOverlapSettings | None = None
    """Similarity of sentence embeddings, which sees through other words. None, the default, turns it off: it takes a
    thousand times as long as the rest."""

    max_ngram_frequency: int | None = Field(10, ge=1)
    """N-grams, and equal texts, that occur in more training texts than this are boilerplate and ignored. 10 as in
    Brown et al. 2020. None ignores nothing."""

    action: Literal["drop", "report"] = "drop"
    """`drop` removes the rows that overlap; `report` keeps them, with a remark in the ledger."""

    benchmark_paths: tuple[str, ...] = ()
    """Files that training must not have seen: JSONL, JSON or Parquet (all texts of all rows), or text (every line)."""

    lm_eval_tasks: tuple[str, ...] = ()
    """YAML files of lm-eval tasks or groups whose prompts and targets training must not have seen."""

    index_dir: str | None = None
    """Folder that keeps the indexes of benchmarks, each under a hash of its content. None: in Tunesmith's cache."""

    max_drop_fraction: float = Field(0.2, ge=0, le=1)
    """Share of rows above which the run stops."""

    @property
    def ngram_sizes(self) -> tuple[int, ...]:
        """The n of all n-grams that are looked up."""
        sizes = [self.ngram_words] if self.min_overlap is not None else []
        return tuple(sizes + ([self.coverage.ngram_words] if self.coverage is not None else []))
