"""Read the one JSON object of a model's reply, however it is wrapped; what could mean two things is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from steps.errors import ConfigError
from steps.llm.flat_schema import surely_fits
from steps.llm.lenient_json import NotAnObjectError, finite, read_at

_THINKING = re.compile(r"\s*<(think|thinking|reasoning)>", re.IGNORECASE)
_THOUGHT = re.compile(r"</(?:think|thinking|reasoning)>", re.IGNORECASE)
#: Objects beyond this many make no reply; each is read in full.
_MOST_OBJECTS = 20
#: Characters of a validator's message, which quotes the reply.
_EXCERPT = 200


def parse_object(text: str) -> dict[str, Any]:
    r"""Return the only JSON object of a reply: bare, in a code fence, or amid prose, thinking left aside.

    Raises:
        ValueError: if there is none, one that is cut off or malformed, or several that differ.

    >>> parse_object('Here you are:\n```json\n{"score": 4,}\n```')
    {'score': 4}
    """
    return read_object(text, None)


def read_object(text: str, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the only JSON object of a reply that satisfies the schema.

    Objects that miss the schema may stand around it, as the reply may show its work. Of two that satisfy it and
    differ, one may be a quotation of what was graded, so neither counts. Nothing is converted: `"4"` is not 4.

    Raises:
        ValueError: as `parse_object`, or with the way in which the object misses the schema.
    """
    found = list(_objects(text))
    if not found:
        raise ValueError("is not one JSON object: none was found")
    problems = [None if schema is None else _problem(one, schema) for one in found]
    fitting = [one for one, problem in zip(found, problems, strict=True) if problem is None]
    if not fitting:
        raise ValueError(problems[0] if len(found) == 1 else f"holds {len(found)} JSON objects, none of the form asked")
    if any(one != fitting[0] for one in fitting[1:]):
        raise ValueError(f"is not one JSON object: it holds {len(fitting)} that differ")
    return fitting[0]


def schema_problem(text: str, schema: Mapping[str, Any]) -> str | None:
    """Say in which way a reply misses an object schema, or None."""
    try:
        read_object(text, schema)
    except ValueError as error:
        return str(error)
    return None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the outermost objects, the fast way if the reply is nothing but JSON."""
    try:
        whole = _read_strictly(text)
    except json.JSONDecodeError:
        yield from _objects_amid_prose(_without_thinking(text))
        return
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not one JSON object: {error}") from None
    if not isinstance(whole, dict):
        raise ValueError(f"is not one JSON object: found {type(whole).__name__}")
    yield whole


def _read_strictly(text: str) -> Any:
    # `strict=False` takes line ends inside of strings, which cannot be misread.
    return json.loads(
        text, object_pairs_hook=_no_repeated_keys, parse_constant=_refused, parse_float=finite, strict=False
    )


def _objects_amid_prose(text: str) -> Iterator[dict[str, Any]]:
    at, n_found = text.find("{"), 0
    while at >= 0:
        try:
            found, end = read_at(text, at)
        except NotAnObjectError:
            end = at + 1
        except ValueError as error:
            # What stands inside of it must not be taken for the reply.
            raise ValueError(f"is not one JSON object: {error}") from None
        else:
            n_found += 1
            if text[:at].rstrip().endswith("[") or n_found > _MOST_OBJECTS:
                raise ValueError("is not one JSON object: found an array of them, or too many")
            yield found
        at = text.find("{", end)


def _without_thinking(text: str) -> str:
    """Return what follows the thinking, whose opening tag is often part of the prompt and so missing."""
    while opening := _THINKING.match(text):
        closing = re.compile(f"</{opening[1]}>", re.IGNORECASE).search(text)
        if closing is None:
            raise ValueError(f"is not one JSON object: <{opening[1]}> was not closed")
        text = text[closing.end() :]
    closing = _THOUGHT.search(text)
    if closing is None or _stands_in_an_object(text, closing.start()):
        return text
    return text[closing.end() :]


def _stands_in_an_object(text: str, position: int) -> bool:
    """Say whether an object spans the position: a tag that a reply quotes ends no thinking."""
    at = text.find("{", 0, position)
    while at >= 0:
        try:
            end = read_at(text, at)[1]
        except ValueError:
            end = at + 1
        if end > position:
            return True
        at = text.find("{", end, position)
    return False


def _problem(found: dict[str, Any], schema: Mapping[str, Any]) -> str | None:
    if surely_fits(found, schema):
        return None
    from jsonschema.exceptions import best_match

    error = best_match(_validator(json.dumps(schema)).iter_errors(found))
    if error is None:
        return None
    where = ".".join(map(str, error.absolute_path)) or "the reply"
    rule, expected = error.validator, error.validator_value
    if rule == "required":
        missing = [key for key in expected if key not in error.instance]
        return f"lacks {', '.join('.'.join(map(str, [*error.absolute_path, key])) for key in missing)}"
    said = {"type": f"is not of type {expected}", "minimum": f"is below {expected}", "maximum": f"is above {expected}"}
    said["enum"] = f"is not one of {expected}"
    return f"{where} {said[str(rule)]}" if rule in said else f"{where}: {error.message[:_EXCERPT]}"


@lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    """Compile a schema once. References outside of it are not followed."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from referencing import Registry

    found = json.loads(schema)
    try:
        Draft202012Validator.check_schema(found)
    except SchemaError as error:
        raise ConfigError(
            f"a reply's JSON schema is not one: {error.message[:_EXCERPT]}; compare https://json-schema.org"
        ) from None
    return Draft202012Validator(found, registry=Registry())


def _no_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def _refused(name: str) -> float:
    raise ValueError(f"{name} is no JSON value")
