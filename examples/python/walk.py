"""The files below a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class FoundFile:
    """A file as the folder shows it, without reading it.

    Attributes:
        path: where it is
        size: in bytes
        modified_ns: when it was last written, in ns since 1970
    """

    path: str
    size: int
    modified_ns: int


def walk(folder: str) -> list[FoundFile]:
    """All regular files below a folder, in a stable order; links are not followed.

    Raises:
        OSError: if a folder cannot be read, or a file vanishes meanwhile
    """
    found: list[FoundFile] = []
    folders = [os.path.normpath(folder)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    found.append(FoundFile(entry.path, status.st_size, status.st_mtime_ns))
    return sorted(found, key=lambda file: file.path)
