"""Named sets of values for the rules: what a file does not set is taken from the preset that it names.

What each keeps of real data is measured by `python -m benchmarks.presets`, see `benchmarks/results/presets.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

PresetName = Literal["instruction", "code", "web_gopher", "none"]

#: Families that a text of a web page, which no one asked for, cannot be held to.
_DIALOGUE_OFF = {"refusals": None, "formats": None, "maths": None, "arithmetic": None}

#: By preset, the values that differ from the defaults of the settings, which are those of `instruction`.
PRESETS: dict[str, dict[str, Any]] = {
    "instruction": {},
    # Programs repeat lines and names more than prose does, and are full of signs; a shorter loop still shows.
    "code": {
        "repetition": {
            "max_line_fraction": 0.5,
            "max_line_character_fraction": 0.4,
            "max_repeated_5_gram_fraction": 0.6,
            "max_repeated_6_gram_fraction": 0.6,
            "max_repeated_7_gram_fraction": 0.55,
            "max_repeated_8_gram_fraction": 0.5,
            "max_repeated_9_gram_fraction": 0.5,
            "max_repeated_10_gram_fraction": 0.5,
        },
        "ratios": {"max_symbol_fraction": 0.75, "max_digit_fraction": 0.8, "max_uppercase_fraction": None},
    },
    # Rae et al. 2021, appendix; Penedo et al. 2024; Raffel et al. 2020.
    "web_gopher": {
        **_DIALOGUE_OFF,
        "turns": {"allow_assistant_first": True},
        "length": {"min_prompt_words": None},
        "repetition": {
            "min_words": 0,
            "min_line_characters": 0,
            "min_occurrences": 1,
            "max_line_fraction": 0.3,
            "max_line_character_fraction": 0.2,
            "max_paragraph_fraction": 0.3,
            "max_paragraph_character_fraction": 0.2,
            "max_top_2_gram_fraction": 0.2,
            "max_top_3_gram_fraction": 0.18,
            "max_top_4_gram_fraction": 0.16,
            **{f"max_repeated_{n}_gram_fraction": round(0.2 - n / 100, 2) for n in range(5, 11)},
        },
        "ratios": None,
        "quality": {},
        "web_page": {},
    },
    "none": {
        **_DIALOGUE_OFF,
        **dict.fromkeys(("turns", "length", "keywords", "repetition", "ratios", "quality", "web_page", "secrets")),
    },
}


def with_preset(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as a file gives them, with the values of its preset below them; the file's own win.

    >>> with_preset({"preset": "none", "refusals": {"drop_boilerplate": False}})["refusals"]
    {'drop_boilerplate': False}
    """
    preset = PRESETS.get(str(given.get("preset", "instruction")), {})  # an unknown name is the validator's to refuse
    return _merged(preset, given)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merged(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged
