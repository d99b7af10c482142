"""Statistics of a file's content."""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from typing import Literal, TypedDict

from image_size import ImageSize, image_size
from text_statistics import TextStatistics, TextSummary

_CHUNK_BYTES = 256 * 1024
# At the start of a file, those that tell an image's format and size.
_IMAGE_HEAD_BYTES = 1 << 20


class _Content(TypedDict):
    kind: Literal["image", "text", "binary"]
    bytes: int
    entropy: float


class Analysis(_Content, total=False):
    """What is computed of a file's content, as it is stored and as other languages read it.

    Attributes:
        kind: what the content is
        bytes: how many there are
        entropy: Shannon's, in bits per byte: 0 for one repeated byte, 8 for noise
        image: of an image only
        text: of a text only
        computeMs: the time that computing it took, without the disk: what the next reader saves
    """

    image: ImageSize
    text: TextSummary
    computeMs: float


def content_hash(path: str) -> str:
    """The SHA-256 of a file, in hex.

    Raises:
        OSError: if it cannot be read
    """
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def analyze(path: str) -> Analysis:
    """Reads a file once, in chunks, and computes its statistics.

    Raises:
        OSError: if it cannot be read
    """
    histogram: Counter[int] = Counter()
    text = TextStatistics()
    head = bytearray()
    # The thread's own time: threads take turns, and that they wait for each other costs no work.
    compute = 0.0
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            started = time.thread_time()
            histogram.update(chunk)
            if len(head) < _IMAGE_HEAD_BYTES:
                head += chunk
            text.add(chunk)
            compute += time.thread_time() - started
    started = time.thread_time()
    result = _told(histogram, image_size(bytes(head)), text)
    compute += time.thread_time() - started
    result["computeMs"] = round(compute * 1000, 3)
    return result


def _told(histogram: Counter[int], image: ImageSize | None, statistics: TextStatistics) -> Analysis:
    total = sum(histogram.values())
    entropy = _entropy(histogram, total)
    if image is not None:
        return {"kind": "image", "bytes": total, "entropy": entropy, "image": image}
    text = statistics.finish()
    if text is not None:
        return {"kind": "text", "bytes": total, "entropy": entropy, "text": text}
    return {"kind": "binary", "bytes": total, "entropy": entropy}


def _entropy(histogram: Counter[int], total: int) -> float:
    bits = 0.0
    # In the order of bytes, so that every language rounds the same sum.
    for _, count in sorted(histogram.items()):
        bits -= count / total * math.log2(count / total)
    # round() takes halves to the even neighbour, which JavaScript does not.
    return math.floor(bits * 1000 + 0.5) / 1000
