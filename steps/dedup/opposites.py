"""Opposites: words of which one turns a sentence into its contrary."""

from __future__ import annotations

from collections.abc import Sequence

from steps.filtering.words import words

#: Pairs of poles, at most 64; words of one pole are synonyms here. A text names a pole by any of its words. Left out
#: are pairs that instructions use side by side without contrast (read and write, input and output, row and column): on
#: GPTeacher's code they kept paraphrases apart.
OPPOSITES: tuple[tuple[str, str], ...] = (
    (
        "increase increases increased increasing raise raises raised raising grow grows growing gain gains",
        "decrease decreases decreased decreasing reduce reduces reduced reducing shrink shrinks shrinking lose loses",
    ),
    ("before prior", "after following"),
    (
        "minimum min minimal minimize minimise minimizes minimises minimizing minimising smallest lowest least",
        "maximum max maximal maximize maximise maximizes maximises maximizing maximising largest biggest highest "
        "greatest most",
    ),
    (
        "enable enables enabled enabling activate activates activated",
        "disable disables disabled disabling deactivate deactivates deactivated",
    ),
    ("first earliest oldest", "last latest newest"),
    ("first", "second"),
    ("ascending", "descending"),
    ("open opens opened opening", "close closes closed closing"),
    ("start starts started starting", "stop stops stopped stopping"),
    (
        "add adds added adding insert inserts inserted inserting append",
        "remove removes removed removing delete deletes deleted deleting",
    ),
    ("add adds adding sum addition plus", "subtract subtracts subtracting subtraction minus"),
    (
        "multiply multiplies multiplied multiplying multiplication product",
        "divide divides divided dividing division quotient",
    ),
    ("encrypt encrypts encrypted encrypting encryption", "decrypt decrypts decrypted decrypting decryption"),
    ("encode encodes encoded encoding", "decode decodes decoded decoding"),
    (
        "compress compresses compressed compressing compression",
        "decompress decompresses decompressing decompression unpack",
    ),
    (
        "serialize serialise serializes serialization serialisation",
        "deserialize deserialise deserializes deserialization deserialisation",
    ),
    ("lock locks locked locking", "unlock unlocks unlocked unlocking"),
    ("install installs installed installing", "uninstall uninstalls uninstalled uninstalling"),
    ("upload uploads uploaded uploading", "download downloads downloaded downloading"),
    ("import imports imported importing", "export exports exported exporting"),
    ("send sends sent sending", "receive receives received receiving"),
    ("push pushes pushing", "pop pops popping pull pulls pulling"),
    ("buy buys buying bought", "sell sells selling sold"),
    ("win wins winning won", "lose loses losing lost"),
    ("true", "false"),
    ("yes", "no"),
    ("positive positively", "negative negatively"),
    ("success succeed succeeds successful", "failure fail fails failed failing"),
    ("valid", "invalid"),
    ("legal", "illegal"),
    ("possible", "impossible"),
    ("even", "odd"),
    ("left", "right"),
    ("north northern", "south southern"),
    ("east eastern", "west western"),
    ("hot hotter hottest warm warmer", "cold colder coldest cool cooler"),
    ("more", "less fewer"),
    ("better", "worse"),
    ("best", "worst"),
    ("above", "below"),
    ("over", "under"),
    ("inside", "outside"),
    ("include includes included including", "exclude excludes excluded excluding"),
    (
        "allow allows allowed allowing permit permits",
        "deny denies denied forbid forbids forbidden block blocks blocked",
    ),
    ("accept accepts accepted accepting", "reject rejects rejected rejecting"),
    ("advantage advantages pros benefits", "disadvantage disadvantages cons drawbacks risks"),
    ("cause causes", "effect effects consequence consequences"),
    ("singular", "plural"),
    ("rise rises rising rose", "fall falls falling fell"),
    ("profit profits", "loss losses"),
    ("long longer longest", "short shorter shortest"),
    ("high higher", "low lower"),
    ("upper uppercase", "lower lowercase"),
    ("fast faster fastest quickly", "slow slower slowest slowly"),
    ("early earlier", "late later"),
    ("public", "private"),
    ("synchronous sync", "asynchronous async"),
    ("horizontal horizontally", "vertical vertically"),
    ("union", "intersection"),
    ("supervised", "unsupervised"),
    ("formal", "informal"),
    ("greater larger bigger exceeds exceed", "less smaller"),
)


def _masks() -> dict[str, tuple[int, int]]:
    masks: dict[str, tuple[int, int]] = {}
    for bit, (positive, negative) in enumerate(OPPOSITES):
        for pole, listed in enumerate((positive, negative)):
            for word in listed.split():
                found = list(masks.get(word, (0, 0)))
                found[pole] |= 1 << bit
                masks[word] = (found[0], found[1])
    return masks


_MASKS = _masks()


def poles(text: str) -> tuple[int, int]:
    """Return two bit masks: the pairs of which a text in lower case names the first pole, and the second.

    >>> poles("before") == (2, 0), poles("after") == (0, 2), poles("between") == (0, 0)
    (True, True, True)
    """
    positive = negative = 0
    for word in _MASKS.keys() & set(words(text)):
        masks = _MASKS[word]
        positive |= masks[0]
        negative |= masks[1]
    return positive, negative


def conflict(left: Sequence[int], right: Sequence[int]) -> tuple[str, str] | None:
    """Return the leading words of a pair whose one pole only `left` names, and whose other only `right` names.

    A text that names both poles ("from the minimum to the maximum") contradicts none.
    """
    forwards = left[0] & ~left[1] & right[1] & ~right[0]
    backwards = left[1] & ~left[0] & right[0] & ~right[1]
    found = forwards | backwards
    if not found:
        return None
    bit = (found & -found).bit_length() - 1
    first, second = (words_of.split()[0] for words_of in OPPOSITES[bit])
    return (first, second) if forwards >> bit & 1 else (second, first)
