"""Cuts a table of examples into slices: by source, kind, language, length of the answer, and topic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from steps.filtering.batch import Batch
from steps.settings import Settings

Dimension = Literal["source", "kind", "language", "length", "topic"]

#: Upper bounds of the buckets of answer length, in characters: a phrase, a sentence or two, a paragraph, a page, more.
LENGTH_BOUNDS = (40, 200, 800, 3000)
#: Characters of a conversation that its topic and language are told by.
TOLD_BY_CHARACTERS = 1000
#: Words that name a topic.
TOPIC_WORDS = 3


class SliceSettings(Settings):
    """Which slices are made."""

    dimensions: tuple[Dimension, ...] = ("source", "kind", "language", "length", "topic")
    """What the rows are told apart by."""
    n_topics: int = Field(12, ge=2)
    """Topics at most; a table of few rows has fewer."""
    min_rows_per_topic: int = Field(50, ge=1)
    """Rows that a topic holds on average at least."""


class Slicing(NamedTuple):
    """One way of cutting the rows: `codes[i]` is the place in `labels` of row i's slice."""

    dimension: Dimension
    labels: list[str]
    codes: npt.NDArray[np.int64]


def slicings_of(rows: pa.Table, settings: SliceSettings, seed: int) -> list[Slicing]:
    """Cut the rows along every dimension asked for.

    Args:
        rows: Schema `EXAMPLES`.
        settings: The dimensions.
        seed: Seed of the topics.
    """
    if not rows.num_rows:
        return []
    batch = Batch(rows)
    makers: dict[Dimension, Callable[[], Slicing]] = {
        "source": lambda: _by_values("source", rows["source"]),
        "kind": lambda: _by_values("kind", rows["kind"]),
        "language": lambda: _by_language(batch),
        "length": lambda: _by_length(batch),
        "topic": lambda: _by_topic(batch, settings, seed),
    }
    return [makers[dimension]() for dimension in settings.dimensions]


def _by_values(dimension: Dimension, values: pa.Array | pa.ChunkedArray) -> Slicing:
    labels, codes = np.unique(np.asarray(values.to_pylist(), dtype=object), return_inverse=True)
    return Slicing(dimension, [str(label) for label in labels], codes.astype(np.int64))


def _by_language(batch: Batch) -> Slicing:
    from steps.filtering.languages import detect_languages

    codes, _ = detect_languages(pc.utf8_slice_codeunits(_conversations(batch), 0, TOLD_BY_CHARACTERS))
    return _by_values("language", codes)


def _by_length(batch: Batch) -> Slicing:
    sizes = np.asarray(pc.utf8_length(batch.answers), np.int64)
    bounds = ["0", *map(str, LENGTH_BOUNDS)]
    labels = [f"{low}–{high}" for low, high in pairwise(bounds)] + [f"> {bounds[-1]}"]
    return Slicing("length", [f"{label} characters" for label in labels], np.searchsorted(LENGTH_BOUNDS, sizes))


def _by_topic(batch: Batch, settings: SliceSettings, seed: int) -> Slicing:
    """Group the rows by the words of their conversations: TF-IDF and k-means, named by the heaviest words."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.feature_extraction.text import TfidfVectorizer

    one = Slicing("topic", ["all"], np.zeros(batch.n_rows, np.int64))
    n_topics = min(settings.n_topics, batch.n_rows // settings.min_rows_per_topic)
    if n_topics < 2:
        return one
    texts = pc.utf8_slice_codeunits(_conversations(batch), 0, TOLD_BY_CHARACTERS).to_pylist()
    pattern = r"[^\W\d_]{3,}"  # words of three letters or more
    vectorizer = TfidfVectorizer(
        stop_words="english", max_features=5000, min_df=2, max_df=0.5, token_pattern=pattern, sublinear_tf=True
    )
    try:
        vectors = vectorizer.fit_transform(texts)
    except ValueError:  # the rows share no word
        return one
    model = MiniBatchKMeans(n_topics, random_state=seed, n_init=3, batch_size=2048).fit(vectors)
    names = vectorizer.get_feature_names_out()
    heaviest = np.argsort(-model.cluster_centers_, axis=1, kind="stable")[:, :TOPIC_WORDS]
    return Slicing("topic", _distinct([" ".join(names[words]) for words in heaviest]), model.labels_.astype(np.int64))


def _conversations(batch: Batch) -> pa.Array:
    return pc.binary_join_element_wise(batch.prompts, batch.answers, pa.scalar("\n", pa.large_string()))


def _distinct(labels: Sequence[str]) -> list[str]:
    """Number labels that occur more than once."""
    return [f"{label} ({number})" if labels.count(label) > 1 else label for number, label in enumerate(labels, start=1)]
