"""Puts FiftyOne onto the service as soon as it is imported, where the environment asks for it.

``execution_store_fiftyone.pth`` calls :func:`activate` at the start of every interpreter that has
the variable ``EXECUTION_STORE_FIFTYONE``. This module lies outside of the package, since importing
the package imports gRPC, which only an interpreter that uses FiftyOne is to pay for.
"""

from __future__ import annotations

import os
import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

VARIABLE = "EXECUTION_STORE_FIFTYONE"


def activate() -> None:
    """Waits for FiftyOne's import. Idempotent."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds FiftyOne where the other finders do, and adds the installation to its loading."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname != "fiftyone":
            return None
        for finder in list(sys.meta_path):
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                _install_after(spec)
                return spec
        return None


def _install_after(spec: ModuleSpec) -> None:
    """Has the loader of FiftyOne's package end by putting it onto the service."""
    loader = spec.loader
    execute = getattr(loader, "exec_module", None)
    if loader is None or execute is None:
        return

    def exec_module(module: ModuleType) -> None:
        execute(module)
        # A failure fails the import: stores that go elsewhere without a word would be worse.
        address = os.environ.get(VARIABLE)
        if address:
            from execution_store.fiftyone import install

            install(address)

    # On the loader itself, not one around it: whoever asks it for sources or resources finds them.
    loader.exec_module = exec_module  # type: ignore[method-assign]
