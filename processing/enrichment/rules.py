"""Ordered expressions over untrusted text, the first that matches decides.

They run in the user-agent parser's engine (Rust's `regex`), whose time grows with the text and not with its traps;
Python's own took milliseconds for a user agent made for it. No look-around and no back-references, therefore.
"""

from collections.abc import Iterable

from ua_parser_rs import UserAgentExtractor


class Rules:
    """Answers by expression. An expression matches anywhere in the text unless it is anchored."""

    def __init__(self, rules: Iterable[tuple[str, str]]) -> None:
        self._engine = UserAgentExtractor((expression, answer, None, None, None, None) for answer, expression in rules)

    def first(self, text: str) -> str | None:
        """The answer of the first rule that matches, or None."""
        match = self._engine.extract(text)
        return match.family if match else None
