"""Lines and words of text."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from typing import TypedDict

_FREQUENT_WORDS = 5
# All that Unicode calls a letter or a number: \p{L} and \p{N} of other languages.
_WORD = re.compile(r"[^\W_]+")


class TextSummary(TypedDict):
    """What is told of a text."""

    lines: int
    words: int
    frequentWords: list[str]


class TextStatistics:
    """Counts lines and words of UTF-8 text that arrives in chunks."""

    def __init__(self) -> None:
        """Begins with nothing, which is text."""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._counts: Counter[str] = Counter()
        self._is_text = True
        self._lines = 0
        self._rest = ""

    def add(self, chunk: bytes) -> None:
        """Takes the next bytes of a file."""
        if self._is_text and b"\0" in chunk:
            self._is_text = False
        elif self._is_text:
            self._take(chunk, final=False)

    def finish(self) -> TextSummary | None:
        """What is told of the whole; None if it was no text."""
        if self._is_text:
            self._take(b"", final=True)
        if not self._is_text:
            return None
        lower: Counter[str] = Counter()
        for word, count in self._counts.items():
            lower[word.lower()] += count
        # Words of one count in the order of their UTF-16 units, as JavaScript compares strings.
        ordered = sorted(lower.items(), key=lambda item: (-item[1], item[0].encode("utf-16-be")))
        return {
            "lines": self._lines,
            "words": sum(lower.values()),
            "frequentWords": [word for word, _ in ordered[:_FREQUENT_WORDS]],
        }

    def _take(self, chunk: bytes, *, final: bool) -> None:
        try:
            text = self._decoder.decode(chunk, final)
        except UnicodeDecodeError:
            self._is_text = False
            return
        self._lines += text.count("\n")
        text = self._rest + text
        words = _WORD.findall(text)
        # A word at the end of a chunk may go on in the next one.
        self._rest = words.pop() if words and not final and _WORD.match(text[-1]) else ""
        self._counts.update(words)
