"""The probabilities of the levels or choices of a reply, read at the token with which the judge named its own.

Weighting each level by its probability (Liu et al. 2023, G-Eval, section 2.3) turns a coarse scale into a fine one: a
judge that wavers between 3 and 4 says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from steps.llm.request import Reply

#: Alternatives asked for at each token: the most that common endpoints give.
TOP_LOGPROBS = 20
#: Least probability that all options have together at the token. With less the model was about to write something
#: else, and what the endpoint lists of them says little.
LEAST_MASS = 0.5
_BLANK = " \t\r\n\"'"
#: What may stand behind a value within the same token.
_BEHIND = " \t\r\n\"'},]"


class Weighed(NamedTuple):
    """Probabilities that sum to 1 over the options, or why there are none."""

    probabilities: dict[str, float] | None
    why_not: str | None = None


def weigh(reply: Reply, verdict: Mapping[str, Any], key: str, options: Sequence[str]) -> Weighed:
    """Read the probability of each option at the token that begins the value of `key`.

    Args:
        reply: Of the judge, with `logprobs` where the endpoint gives them.
        verdict: The JSON object that the reply was read as.
        key: Of the value, e.g. `score`.
        options: All values that may be given. Where the first token leaves open which of them was meant (1 and 10),
            there are no probabilities.
    """
    if not reply.logprobs:
        return Weighed(None, "no probabilities: the endpoint reports none")
    tokens = [str(entry["token"]) for entry in reply.logprobs]
    at = _value_at("".join(tokens), verdict, key)
    if at is None:
        return Weighed(None, "no probabilities: the tokens reported do not spell the reply")
    for entry, token in zip(reply.logprobs, tokens, strict=True):
        if at < len(token):
            return _at_token(entry, token[:at], str(verdict[key]), options)
        at -= len(token)
    return Weighed(None, "no probabilities: the reply's tokens end before the value")


def _at_token(entry: Mapping[str, Any], before: str, named: str, options: Sequence[str]) -> Weighed:
    alternatives = {str(one["token"]): float(one["logprob"]) for one in entry.get("top") or ()}
    alternatives.setdefault(str(entry["token"]), float(entry["logprob"]))
    mass = dict.fromkeys(options, 0.0)
    for token, logprob in alternatives.items():
        option = _option_of(token, before, options)
        if option is not None:
            mass[option] += math.exp(logprob)
    total = math.fsum(mass.values())
    if mass.get(named, 0.0) == 0.0:
        return Weighed(None, f"no probabilities: the token at the value does not tell {named} from the other options")
    if total < LEAST_MASS:
        return Weighed(None, f"no probabilities: the options hold only {total:.2g} of the probability at their token")
    return Weighed({option: value / total for option, value in mass.items()})


def _option_of(token: str, before: str, options: Sequence[str]) -> str | None:
    """Return the one option that a token begins; None if it begins none, or leaves open which."""
    if token.startswith(before):
        token = token[len(before) :]
    elif before.strip(_BLANK):
        return None
    begun = token.lstrip(_BLANK).rstrip(_BEHIND)
    if not begun:
        return None
    meant = [option for option in options if option.startswith(begun)]
    return meant[0] if len(meant) == 1 else None


def _value_at(text: str, verdict: Mapping[str, Any], key: str) -> int | None:
    """Find where the value of a key begins in the object that is the verdict; of a string, behind its quotation mark.

    Keys within the object's strings (a quoted verdict) are passed over, as JSON is read here and not searched.
    """
    decoder = json.JSONDecoder(strict=False)
    start = text.find("{")
    while start >= 0:
        try:
            found, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            found = None
        if found == verdict:
            return _member_at(text, start + 1, key, decoder)
        start = text.find("{", start + 1)
    return None


def _member_at(text: str, at: int, key: str, decoder: json.JSONDecoder) -> int | None:
    """Walk the members of a valid object that begins before `at`."""
    while True:
        name, at = decoder.raw_decode(text, _skip(text, at, " \t\r\n,"))
        at = _skip(text, at, " \t\r\n:")
        if name == key:
            return at + 1 if text[at] == '"' else at
        _, at = decoder.raw_decode(text, at)


def _skip(text: str, at: int, what: str) -> int:
    while text[at] in what:
        at += 1
    return at
