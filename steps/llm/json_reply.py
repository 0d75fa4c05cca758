"""Read a JSON object out of a model's reply, strictly: a doubtful reply is refused, never repaired."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

#: Reasoning models think aloud first; only what follows counts.
_THINKING = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*?)\n[ \t]*```", re.DOTALL)
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def parse_object(text: str) -> dict[str, Any]:
    r"""Return the JSON object that the reply consists of, bare or inside its only code fence.

    An object quoted in the middle of prose is not looked for: it might be a quotation of the graded text.

    Raises:
        ValueError: if the reply is anything else, repeats a key, or holds NaN or Infinity.

    >>> parse_object('Here you are:\n```json\n{"score": 4}\n```')
    {'score': 4}
    """
    text = _THINKING.sub("", text).strip()
    fenced = _FENCE.findall(text)
    if len(fenced) == 1 and not text.startswith("{"):
        text = fenced[0]
    try:
        found = json.loads(text, object_pairs_hook=_no_repeated_keys, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"the reply is not JSON: {error}") from None
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"found {type(found).__name__}, expected a JSON object")
    return found


def schema_problem(text: str, schema: Mapping[str, Any]) -> str | None:
    """Say in which way a reply misses an object schema, or None.

    Covers what the project's schemas use: `required`, and for each property `type`, `enum`, `minimum`, `maximum`.
    """
    try:
        found = parse_object(text)
    except ValueError as error:
        return f"is not one JSON object: {error}"
    missing = [key for key in schema.get("required", ()) if key not in found]
    if missing:
        return f"lacks {', '.join(missing)}"
    for key, rule in schema.get("properties", {}).items():
        problem = _value_problem(found[key], rule) if key in found else None
        if problem:
            return f"{key} {problem}"
    return None


def _value_problem(value: object, rule: Mapping[str, Any]) -> str | None:
    expected = rule.get("type")
    if isinstance(expected, str):
        whole = expected == "integer" and isinstance(value, float) and value.is_integer()
        is_wrong_bool = isinstance(value, bool) and expected != "boolean"
        if is_wrong_bool or not (whole or isinstance(value, _TYPES[expected])):
            return f"is not of type {expected}"
    if "enum" in rule and value not in rule["enum"]:
        return f"is not one of {rule['enum']}"
    if isinstance(value, int | float):
        if "minimum" in rule and value < rule["minimum"]:
            return f"is below {rule['minimum']}"
        if "maximum" in rule and value > rule["maximum"]:
            return f"is above {rule['maximum']}"
    return None


def _no_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
