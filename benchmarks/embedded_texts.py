"""Seeded prompts from a grammar, and vectors with the spectrum that their embeddings have, in any number.

Embedding 100,000 texts takes half an hour of one core, and a join sees vectors only. So some thousand prompts are
embedded, and more vectors are drawn from them: a mixture of a prompt's embedding and noise of the same covariance. One
row in twenty is the planted neighbour of another, at a cosine from 0.85 to 0.99.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

ASKS = (
    "Explain how {a} affects {b}.",
    "Write a short story about {a} and {b}.",
    "What is the difference between {a} and {b}?",
    "Give three reasons why {a} matters for {b}.",
    "Write a Python function that reads {a} and returns {b}.",
    "Translate the sentence about {a} into French.",
    "How can I improve {a} without harming {b}?",
    "List the risks of {a}.",
    "Draft an email to a customer about {a} and {b}.",
    "Summarise the history of {a}.",
    "Compose a poem on {a}, {c} in tone.",
    "You are an expert in {a}. Answer a beginner's question about {b}.",
    "Plan a lesson on {a} for {c} students.",
    "Suggest a {c} name for a company that sells {a}.",
    "Debug this query: it joins {a} with {b} and is slow.",
    "Describe {a} to someone who knows only {b}.",
    "Rewrite the paragraph on {a} so that it sounds {c}.",
    "Estimate how much {a} a town needs for its {b}.",
    "Argue for and against {a} in the context of {b}.",
    "Create a quiz about {a} with {c} questions.",
    "Design an experiment that measures {a} in {b}.",
    "Who invented {a}?",
    "Classify the review of {a} as positive or negative.",
    "Recommend a {c} recipe with {a}.",
    "Play a {c} shopkeeper.",
)
THINGS = [
    "volcanoes", "sourdough", "mortgages", "jazz", "photosynthesis", "databases", "tennis", "glaciers", "insulin",
    "poetry", "tariffs", "bridges", "whales", "algebra", "violins", "elections", "coffee", "hurricanes", "chess",
    "antibiotics", "satellites", "divorce", "gardens", "robots", "perfume", "castles", "inflation", "bees",
    "marathons", "recycling", "philosophy", "trains", "vaccines", "diamonds", "novels", "sleep", "lasers",
    "refugees", "cheese", "tides", "compilers", "pensions", "ballet", "earthquakes", "passports", "owls", "enzymes",
    "museums", "batteries", "dialects", "forests", "taxes", "dinosaurs", "friendship", "microscopes", "deserts",
    "wine", "kubernetes", "grammar", "comets", "bicycles", "orphanages", "genes", "lighthouses", "debt", "theatre",
    "proteins", "motorways", "salmon", "copyright", "telescopes", "yoga", "mushrooms", "monarchy", "airports",
    "calculus", "leather", "empathy", "spices", "caching", "tuberculosis", "harbours", "skiing", "fables",
    "turbines", "wolves", "rhetoric", "hashing", "nurseries", "coral", "budgets", "sculpture", "asteroids",
    "bakeries", "encryption", "football", "surgery", "mythology", "fertiliser", "pandas", "tourism", "cement",
    "opera", "neurons", "tea",
]  # fmt: skip
ADJECTIVES = [
    "gloomy", "cheerful", "formal", "ancient", "spicy", "curious", "advanced", "sarcastic", "minimal", "romantic",
    "legal", "scientific", "playful", "rustic", "luxurious", "brief", "heroic", "technical", "calm", "absurd",
    "modern", "secret", "honest", "seasonal", "vegan", "multilingual", "nervous", "proud",
]  # fmt: skip


def prompts(n: int, seed: int = 0) -> list[str]:
    """Return `n` prompts."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        text = ASKS[random.integers(len(ASKS))]
        one, other = random.choice(len(THINGS), 2, replace=False)
        made.append(text.format(a=THINGS[one], b=THINGS[other], c=ADJECTIVES[random.integers(len(ADJECTIVES))]))
    return made


def vectors_like(base: Vectors, n: int, seed: int = 0) -> Vectors:
    """Return `n` unit vectors with the covariance of `base`, one in twenty of them the planted neighbour of another."""
    random = np.random.default_rng(seed)
    dimensions = base.shape[1]
    root = np.linalg.cholesky(np.cov(base.T) + 1e-5 * np.eye(dimensions)).astype(np.float32)
    n_free = round(n * 0.95)
    noise = random.standard_normal((n_free, dimensions), np.float32) @ root.T
    free = _unit(0.6 * base[random.integers(0, len(base), n_free)] + 0.8 * noise)
    partner = free[random.integers(0, n_free, n - n_free)]
    away = random.standard_normal((n - n_free, dimensions), np.float32)
    away = _unit(away - (away * partner).sum(axis=1, keepdims=True) * partner)
    cosine = random.uniform(0.85, 0.99, (n - n_free, 1)).astype(np.float32)
    planted = cosine * partner + np.sqrt(1 - cosine**2) * away
    return _unit(np.concatenate([free, planted])[random.permutation(n)])


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit
