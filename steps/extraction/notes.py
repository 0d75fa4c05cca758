"""A small world of engineering notes: every sentence of it is generated, so that its facts are known exactly.

A note has a title, one or two findings ("the cache now cuts its latency by 35 percent on long inputs") and one or two
fillers. The space of findings is parted by a stable hash: the tiny base model is pre-trained on findings of one
part only (`PRETRAINING`), the sample corpus states findings of the other (`CORPUS`). A fact of a test document is
therefore new to the base model by construction, and can only be right in an answer if it was read in the prompt.

The vocabulary is small and its words are short, so that a tokenizer of about a thousand tokens spells most of them
as one token and a model of less than a million parameters learns to copy them within minutes of CPU time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

PRETRAINING = 0
CORPUS = 1
PARTS = (PRETRAINING, CORPUS)

_SUBSYSTEMS = """
cache index queue router parser loader ranker gateway scheduler sampler planner encoder decoder crawler broker
proxy mapper merger monitor buffer filter archive balancer tracer worker mirror reader writer
"""
SUBSYSTEMS = tuple(_SUBSYSTEMS.split())
VERBS = ("cuts", "raises", "lowers", "lifts", "trims", "boosts")
_METRICS = """
latency recall throughput memory cost accuracy errors traffic precision coverage jitter retries
"""
METRICS = tuple(_METRICS.split())
PERCENTAGES = range(10, 100, 5)
#: Each is told by its first word.
CONDITIONS = (
    "on long inputs",
    "under heavy load",
    "with cold caches",
    "for short queries",
    "in nightly runs",
    "at peak hours",
    "after every restart",
    "across slow links",
    "over small batches",
    "during large builds",
)
_TOPICS = """
Storage Serving Search Training Release Billing Network Mobile Security Metrics Backup Ingest Alerts Support
Testing Capacity Privacy Labels Deploy Sync Access Forms Payments Reports
"""
TOPICS = tuple(_TOPICS.split())
WEEKS = range(10, 53)
LEADS = ("We found that", "We saw that", "The data shows that", "It turns out that")


class Filler(NamedTuple):
    """A sentence without facts, and two ways to say it otherwise: in other words, and with one word changed."""

    text: str
    reworded: str
    edited: str


#: At most five words each. A filler with its neighbours' boilerplate (a lead and "the", or "percent" and a condition)
#: then spans fewer than thirteen words, so that two notes share a 13-gram only if they share a part of a fact:
#: decontamination must not mistake boilerplate for a leak.
FILLERS = (
    Filler("The team met on Tuesday.", "On Tuesday the team met.", "The team met on Monday."),
    Filler("The work goes on.", "Work is going on.", "The test goes on."),
    Filler("The old plan stays.", "We keep the old plan.", "The old draft stays."),
    Filler("Thanks to all who helped.", "We thank all who helped.", "Thanks to everyone who helped."),
    Filler("The board was updated.", "Somebody updated the board.", "The page was updated."),
    Filler("We will meet again soon.", "Another meeting follows soon.", "We will talk again soon."),
    Filler("The budget stays the same.", "We keep the same budget.", "The schedule stays the same."),
    Filler("More tests are planned.", "We plan more tests.", "More trials are planned."),
    Filler("Some scripts were removed.", "We removed some scripts.", "Some files were removed."),
    Filler("The review went well.", "It was a good review.", "The demo went well."),
    Filler("Please send your questions.", "Questions are welcome.", "Please send your comments."),
    Filler("The rollout starts next month.", "Next month the rollout starts.", "The rollout starts next week."),
)


class Finding(NamedTuple):
    """One fact: five slots and the sentence that they fill.

    A fixed word stands before each slot ("the", "now", "its", "by", "percent"): to look up what followed such a word
    is what a small model learns first, long before it can copy at large.
    """

    subsystem: str
    verb: str
    metric: str
    percentage: int
    condition: str

    def __str__(self) -> str:
        return f"the {self.subsystem} now {self.verb} its {self.metric} by {self.percentage} percent {self.condition}"

    def differs_from(self, other: Finding) -> bool:
        """Return whether no slot is the other's."""
        return not any(ours == theirs for ours, theirs in zip(self, other, strict=True))


class Sentence(NamedTuple):
    """One sentence of a body: a finding behind a lead, or a filler. Exactly one of the two is set."""

    finding: Finding | None
    lead: str
    filler: Filler | None

    def __str__(self) -> str:
        if self.finding is not None:
            return f"{self.lead} {self.finding}."
        return self.filler.text if self.filler is not None else ""


class Note(NamedTuple):
    """A note: its title, and its sentences in order."""

    title: str
    sentences: tuple[Sentence, ...]

    @property
    def findings(self) -> tuple[str, ...]:
        """The note's facts, in the order in which the body states them."""
        return tuple(str(sentence.finding) for sentence in self.sentences if sentence.finding is not None)

    @property
    def body(self) -> str:
        """The sentences as one paragraph."""
        return " ".join(str(sentence) for sentence in self.sentences)


def part_of(finding: str) -> int:
    """Return the part of the world that a finding belongs to; the same on every machine and for every seed.

    >>> part_of("the cache now cuts its latency by 35 percent on long inputs") in PARTS
    True
    """
    return hashlib.sha256(finding.encode()).digest()[0] % len(PARTS)


def titles() -> list[str]:
    """Return every title of the world: topic and week, 1,032 in all."""
    return [f"{topic} notes, week {week}" for topic in TOPICS for week in WEEKS]


def draw_finding(random: Random, part: int) -> Finding:
    """Draw a finding of one part of the world (about every second draw belongs to it)."""
    while True:
        finding = Finding(
            random.choice(SUBSYSTEMS),
            random.choice(VERBS),
            random.choice(METRICS),
            random.choice(PERCENTAGES),
            random.choice(CONDITIONS),
        )
        if part_of(str(finding)) == part:
            return finding


def draw_note(random: Random, part: int, title: str | None = None, n_findings: int | None = None) -> Note:
    """Draw a note of one or two findings, with one or two fillers between them.

    The findings of a note differ in every slot, so that a mixed-up answer is always a wrong one. Two fillers never
    stand side by side: pairs of them would recur in many notes.
    """
    if n_findings is None:
        n_findings = random.choice((1, 2))
    findings: list[Finding] = []
    while len(findings) < n_findings:
        finding = draw_finding(random, part)
        if all(finding.differs_from(other) for other in findings):
            findings.append(finding)
    slots = sorted(random.sample(range(n_findings + 1), random.choice((1, 2))))
    fillers = dict(zip(slots, random.sample(FILLERS, len(slots)), strict=True))
    sentences: list[Sentence] = []
    for position in range(n_findings + 1):
        if position in fillers:
            sentences.append(Sentence(None, "", fillers[position]))
        if position < n_findings:
            sentences.append(Sentence(findings[position], random.choice(LEADS), None))
    return Note(title or random.choice(titles()), tuple(sentences))


def bullets(points: Sequence[str]) -> str:
    """Return a Markdown list.

    >>> bullets(["a", "b"]).splitlines()
    ['- a', '- b']
    """
    return "\n".join(f"- {point}" for point in points)
