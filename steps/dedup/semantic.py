"""Semantic duplicates: near in a sentence embedding, and not told apart by a number, a negation or a name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from steps.dedup.calibration import calibration_of, neighbours
from steps.dedup.cells import CellsJoin
from steps.dedup.documents import Document, Key
from steps.dedup.embedding import BUNDLED_MODEL, EncoderSettings, Vectors, embed, load_encoder
from steps.dedup.embedding_cache import EmbeddingCache
from steps.dedup.greedy import Pair
from steps.dedup.joins import Found, survivors_of
from steps.dedup.lexical import difference
from steps.dedup.linkage import DbscanJoin, HierarchicalJoin
from steps.dedup.marks import Marks, marks_of
from steps.dedup.nearest import Metric, space_of
from steps.dedup.recheck import CrossEncoder, RecheckSettings
from steps.dedup.selection import N_SHOWN, Match, Matches
from steps.settings import Settings

#: The threshold that was measured for the bundled model.
BUNDLED_THRESHOLD = 0.95
#: Share of the similar pairs that a join should see; below it the report warns.
MIN_RECALL = 0.95


class ExactJoin(Settings):
    """Compare each row with every kept row: nothing is missed."""

    kind: Literal["exact"] = "exact"


Join = Annotated[ExactJoin | CellsJoin | DbscanJoin | HierarchicalJoin, Field(discriminator="kind")]


class SemanticSettings(EncoderSettings):
    """How semantic duplicates are found."""

    threshold: float = Field(BUNDLED_THRESHOLD, ge=-1000, le=1)
    """Least similarity of two duplicates. On GPTeacher's code, the pairs just above 0.95 were paraphrases; at 0.93 some
    asked for something else ("a string", "a list of strings"). The value belongs to the model: when that changes,
    read the report's `calibration` and borderline pairs."""

    metric: Metric = "cosine"
    """The similarity: the cosine, or with `euclidean` one minus half the squared distance of the vectors as the model
    makes them. The two are equal where vectors have unit length; a distance of at most d is a threshold of 1 - d²/2."""

    key: Key = "conversation"
    """What is embedded: user and assistant turns, or one of the two. System turns never count. `instruction` embeds in
    half the time, and finds questions asked twice; answers that share few words keep such rows apart (see
    `min_answer_overlap`), since two answers to one question are two examples."""

    join: Join = ExactJoin()
    """Which rows are compared, and how clusters form: `exact` (every row with every kept row), `cells` (k-means, for
    millions of rows), `dbscan` or `hierarchical`."""

    representative: Literal["best", "central", "outlying"] = "best"
    """Which row of a cell or cluster is kept: the best by `curation.dedup.keep`, the nearest to the centre, or the
    farthest from it as in SemDeDup. The exact join has no centres and takes `best`."""

    recheck: RecheckSettings | None = None
    """A cross-encoder that re-checks what the vectors propose; null trusts the vectors."""

    protect_numbers: bool = True
    """Never merge rows whose multisets of numbers differ, in the user's turns or the assistant's. Numbers in words,
    signs, units and dates are read."""

    protect_negations: bool = True
    """Never merge rows of which only one negates, in the user's turns or the assistant's."""

    protect_opposites: bool = True
    """Never merge rows that name contrary things ("increase", "decrease"), in the user's turns or the assistant's."""

    protect_names: bool = True
    """Never merge rows whose user's turns name other identifiers, languages or quoted words."""

    min_answer_overlap: float | None = Field(0.2, ge=0, le=1)
    """Least Jaccard similarity of the answers' word sets. An embedding reads `max_length_tokens` only: two questions on
    one long passage look equal to it, and their answers tell them apart. None compares embeddings alone."""

    seed: int = Field(1, ge=0)
    """Seed of the sample that the report's calibration and recall are measured on."""

    cache: bool = True
    """Keep embeddings on disk, by the hash of the text, so that a re-run embeds only what is new."""

    cache_dir: str | None = None
    """Folder of kept embeddings; null takes `embeddings` in the folder that the environment variable TUNESMITH_CACHE
    names, or `~/.cache/tunesmith/embeddings`."""

    max_drop_fraction: float = Field(0.9, ge=0, le=1)
    """Share of rows above which the run stops."""

    @model_validator(mode="after")
    def _options_agree(self) -> SemanticSettings:
        if self.metric == "cosine" and self.threshold < 0:
            raise ValueError(f"threshold={self.threshold} is no cosine to ask for; set a value from 0 to 1, e.g. 0.95")
        if self.representative != "best" and self.join.kind == "exact":
            raise ValueError(
                f"representative={self.representative} needs a centre, which join kind exact has not; set "
                "representative: best, or join: {kind: cells}, {kind: dbscan} or {kind: hierarchical}"
            )
        return self


def semantic_duplicates(
    documents: Sequence[Document], settings: SemanticSettings, cache: EmbeddingCache | None = None
) -> Matches:
    """Match each row that is a semantic duplicate of a better, kept row with the nearest such row.

    Args:
        documents: Best row first. Documents without text match nothing.
        settings: Model, threshold, key and guards.
        cache: Embeddings of earlier runs; it saves time and changes no result.

    Raises:
        InputError: if a model cannot be loaded.
        ConfigError: if more pairs are alike than a clustering can hold.
    """
    texts = [document.text(settings.key).replace("\x1e", "\n") for document in documents]
    rows = [row for row, text in enumerate(texts) if text.strip()]
    if not rows:
        return Matches([])
    vectors = embed([texts[row] for row in rows], settings, cache)
    matches = join(vectors, rows, documents, settings)
    precision = load_encoder(settings.model, settings.precision).precision
    return matches._replace(detail={**matches.detail, "precision": precision})


def join(vectors: Vectors, rows: Sequence[int], documents: Sequence[Document], settings: SemanticSettings) -> Matches:
    """Select survivors among vectors.

    Args:
        vectors: Shape (rows, dimensions), in the order of `rows`.
        rows: Rank of each vector's document, ascending.
        documents: Best row first.
        settings: Join, threshold and guards.
    """
    compared = [documents[row] for row in rows]
    space = space_of(vectors, settings.metric, settings.threshold)
    sample = neighbours(space, settings.threshold, settings.seed)
    texts = [document.text(settings.key).replace("\x1e", "\n") for document in compared]
    recheck = CrossEncoder(settings.recheck, texts) if settings.recheck else None

    def marks_for(touched: npt.NDArray[np.bool_]) -> Marks:
        return marks_of(compared, settings, touched)

    found = survivors_of(space, marks_for, settings, recheck, sample)

    def why(pair: Pair) -> str | None:
        return difference(compared[pair.row], compared[pair.other], settings)

    detail = {
        "join": settings.join.kind,
        "recall": found.recall,
        "calibration": calibration_of(sample),
        "n_rechecked": recheck.n_scored if recheck else None,
        "warnings": _warnings(settings, found.recall),
    }
    return _matches(found, rows, why, settings.threshold)._replace(detail=detail)


def _matches(found: Found, rows: Sequence[int], why: Callable[[Pair], str | None], threshold: float) -> Matches:
    """Return what was found by rank, with the reasons of the pairs that are shown."""

    def match(pair: Pair, veto: str | None = None) -> Match:
        return Match(rows[pair.row], rows[pair.other], pair.similarity, veto)

    duplicates = [match(pair) for pair in sorted(found.duplicates, key=lambda pair: pair.row)]
    nearest = sorted(
        [*duplicates, *(match(pair) for pair in found.below)],
        key=lambda shown: (abs(shown.similarity - threshold), shown.row, shown.other),
    )
    refused = [match(pair, f"the cross-encoder scores {score:.3f}") for pair, score in found.refused]
    vetoed = [*refused, *(match(pair, why(pair)) for pair in found.vetoed)]
    vetoed.sort(key=lambda shown: (-shown.similarity, shown.row, shown.other))
    return Matches(duplicates, nearest[:N_SHOWN], vetoed[:N_SHOWN], found.n_vetoed + len(refused))


def _warnings(settings: SemanticSettings, recall: float | None) -> list[str]:
    """Return what a reader should know before trusting the result."""
    found = []
    if settings.model != BUNDLED_MODEL and settings.threshold == BUNDLED_THRESHOLD:
        found.append(
            f"the threshold {BUNDLED_THRESHOLD} was measured for {BUNDLED_MODEL}, and the model is {settings.model}: "
            "read the report's calibration and borderline pairs, and set curation.dedup.semantic.threshold"
        )
    if recall is not None and recall < MIN_RECALL:
        found.append(
            f"the join of kind {settings.join.kind} sees {recall:.1%} of the pairs at or above the threshold; kind "
            "exact sees all"
        )
    return found
