"""The asyncio client: the same names as in :mod:`execution_store`, with async methods."""

from .mirror import Mirror
from .service import ExecutionStoreService
from .store import ExecutionStore
from .watch import Watch

__all__ = ["ExecutionStore", "ExecutionStoreService", "Mirror", "Watch"]
