"""The notation of the scenarios: what texts stand for, and when an answer is as expected."""

from __future__ import annotations

import json
import re
from typing import Any

from neutral import same

_NAME = re.compile(r"\$\{([^}]+)\}")
# How far a time may be from the one that is expected, in milliseconds.
_NEAR = 1500
# Fields that hold what callers stored: compared as a whole, with numbers by what they are worth.
_EXACT = ("value", "metadata")


def expand(node: Any, variables: dict[str, Any]) -> Any:  # noqa: PLR0911 - one for each form
    """The node with variables and generators put in."""
    if isinstance(node, str):
        whole = _NAME.fullmatch(node)
        if whole is not None:
            return _look_up(whole[1], variables)
        return _NAME.sub(lambda match: str(_look_up(match[1], variables)), node)
    if isinstance(node, list):
        return [expand(item, variables) for item in node]
    if not isinstance(node, dict):
        return node
    if "$each" in node:
        return [
            expand(node["item"], {**variables, "i": f"{index:05d}"})
            for index in range(node["$each"])
        ]
    if "$text" in node:
        return "x" * node["$text"]
    if "$nest" in node:
        value = expand(node["of"], variables)
        for _ in range(node["$nest"]):
            value = [value]
        return value
    return {name: expand(member, variables) for name, member in node.items()}


def _look_up(path: str, variables: dict[str, Any]) -> Any:
    node: Any = variables
    for part in path.split("."):
        node = node[int(part)] if isinstance(node, list) else node[part]
    return node


def difference(expected: Any, actual: Any, path: str = "answer") -> str | None:
    """Where an answer is not what was expected; None if it is."""
    matched = _matched(expected, actual)
    if matched is None and isinstance(expected, list):
        return _list_difference(expected, actual, path)
    if matched is None and isinstance(expected, dict) and isinstance(actual, dict):
        members = (
            _member_difference(name, member, actual, f"{path}.{name}")
            for name, member in expected.items()
        )
        return next(filter(None, members), None)
    if matched is None:
        matched = type(expected) is type(actual) and expected == actual
    return None if matched else _differs(expected, actual, path)


def _differs(expected: Any, actual: Any, path: str) -> str:
    return f"{path} is {shown(actual)}, expected {shown(expected)}"


def _list_difference(expected: list[Any], actual: Any, path: str) -> str | None:
    if not isinstance(actual, list) or len(actual) != len(expected):
        return _differs(expected, actual, path)
    problems = (
        difference(one, other, f"{path}[{index}]")
        for index, (one, other) in enumerate(zip(expected, actual))
    )
    return next(filter(None, problems), None)


def _member_difference(name: str, expected: Any, actual: Any, path: str) -> str | None:
    there = actual.get(name)
    if name not in _EXACT or _matched(expected, there) is not None:
        # Not every client tells it.
        if name == "created" and name not in actual:
            return None
        return difference(expected, there, path)
    return None if same(expected, there) else _differs(expected, there, path)


def _matched(expected: Any, actual: Any) -> bool | None:  # noqa: PLR0911 - one for each matcher
    """Whether a matcher matches; None if the expectation is none."""
    if not isinstance(expected, dict) or len(expected) != 1:
        return None
    ((name, body),) = expected.items()
    if name == "$any":
        return actual is not None
    if name == "$not":
        return difference(body, actual) is not None
    if name == "$above":
        return isinstance(actual, int) and actual > body
    if name == "$atLeast":
        return isinstance(actual, int) and actual >= body
    if name == "$near":
        return isinstance(actual, int) and abs(actual - body[0] - body[1]) <= _NEAR
    if name == "$length":
        return isinstance(actual, (str, list)) and len(actual) == body
    return None


def shown(node: Any) -> str:
    """A part of it, for messages."""
    text = json.dumps(node, ensure_ascii=False)
    return text if len(text) <= 500 else f"{text[:500]}…"
