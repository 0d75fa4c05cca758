import numpy as np
import pytest

from steps.kernels.character_flags import character_flags
from steps.kernels.text_tokens import MARGIN, decode, tokenise


def tokens(text: str) -> list[str]:
    data = np.frombuffer(text.encode(), np.uint8)
    room = len(data) + 2
    utf8, marks = np.zeros(room + MARGIN, np.uint8), np.zeros(room + MARGIN, np.uint8)
    codes, flags = np.empty(room, np.int32), np.empty(room, np.uint32)
    places, starts, ends, breaks = (np.empty(room, np.int32) for _ in range(4))
    n = decode(data, 0, len(data), character_flags(), utf8, places, marks, codes, flags)
    keys, kinds = np.empty(room, np.uint64), np.empty(room, np.uint32)
    k, _ = tokenise(utf8, places, marks, codes, flags, n, starts, ends, keys, kinds, breaks)
    return [text[start:end] for start, end in zip(starts[:k], ends[:k], strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" \n\t ", ""),
        ("Don't panic: it's 3.5% (e.g., 42 towels).", "Do n't panic : it 's 3.5 % ( e.g. , 42 towels ) ."),
        ("We're sure—they'll wait... I'd say so!", "We 're sure — they 'll wait ... I 'd say so !"),
        ("You cannot; Mr. Smith's dog can.", "You can not ; Mr. Smith 's dog can ."),
        ('A "quoted" **bold** #tag for $5.00', 'A " quoted " * * bold * * # tag for $ 5.00'),
        ("foo/bar foo-bar x=1 a.b.c 10-20 5km C++", "foo / bar foo - bar x=1 a.b.c 10 - 20 5 km C++"),
        ("see http://example.com/a-b?c=1 or ann@example.com.", "see http://example.com/a-b?c=1 or ann@example.com ."),
        ("def f(x): return x[i+1]", "def f(x ): return x[i+1 ]"),
        ("end.\n- next", "end . - next"),
        ("the end.Now", "the end.Now"),
        ("今天，去。", "今 天 ， 去 。"),
        (
            '(so) "the." Mr., 12, 3. wait): (e.g.) dog\'s Cannot.',
            '( so ) " the . " Mr. , 12 , 3 . wait ): ( e.g. ) dog \'s Can not .',
        ),
        ("naïve “élan” 👍ok", "naïve “ élan ” 👍 ok"),
    ],
)
def test_words_and_marks_are_parted_as_a_rule_based_tokenizer_parts_them(text, expected):
    assert tokens(text) == expected.split()


def test_no_character_is_lost_or_doubled():
    rng = np.random.default_rng(3)
    alphabet = list("abcXY01 .,:;!?'\"-()[]{}<>/=+*#%$_~@\n\t…—’é日👍")
    for _ in range(400):
        text = "".join(rng.choice(alphabet, rng.integers(1, 60)))
        assert "".join(tokens(text)) == "".join(text.split())
