"""The format and size that the first bytes of an image tell."""

from __future__ import annotations

import struct
from typing import TypedDict

# Of JPEG.
_MARKER = 0xFF
_START_OF_FRAME = (0xC0, 0xC1, 0xC2)


class ImageSize(TypedDict):
    """What is told of an image; sizes are in pixels."""

    format: str
    width: int
    height: int


def image_size(head: bytes) -> ImageSize | None:
    """Reads GIF, JPEG, PNG and WebP.

    Args:
        head: the first bytes of a file; a megabyte is enough for nearly every one

    Returns:
        the image's size; None if it is none of these
    """
    try:
        if head.startswith((b"GIF87a", b"GIF89a")):
            return _found("gif", *struct.unpack_from("<HH", head, 6))
        if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
            return _found("png", *struct.unpack_from(">II", head, 16))
        if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
            return _webp_size(head)
        if head.startswith(b"\xff\xd8"):
            return _jpeg_size(head)
    except struct.error:
        pass  # it ends too early
    return None


def _found(name: str, width: int, height: int) -> ImageSize:
    return {"format": name, "width": width, "height": height}


def _webp_size(head: bytes) -> ImageSize | None:
    kind = head[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return _found("webp", width & 0x3FFF, height & 0x3FFF)  # the two bits above tell of scaling
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        return _found("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8X":
        low, middle, high, *height = struct.unpack_from("<6B", head, 24)
        width = low | middle << 8 | high << 16
        return _found("webp", width + 1, (height[0] | height[1] << 8 | height[2] << 16) + 1)
    return None


def _jpeg_size(head: bytes) -> ImageSize | None:
    at = 2
    while True:
        marker, kind, length = struct.unpack_from(">BBH", head, at)
        if marker != _MARKER:
            return None
        if kind == _MARKER:
            at += 1  # fill bytes may precede a marker
        elif kind in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return _found("jpg", width, height)
        else:
            at += 2 + length
