"""FiftyOne's execution store on top of the service.

One line before stores are used::

    import execution_store.fiftyone
    execution_store.fiftyone.install("stores.example:50051")

or, without any change of code, the variable ``EXECUTION_STORE_FIFTYONE=stores.example:50051`` in
the environment of every process that uses FiftyOne. From then on ``ExecutionStoreService()``,
``ExecutionStore.create(...)``, ``ctx.store(...)``, the ``execution_cache`` decorator,
``TransientJobCoordinator`` and subscriptions work on the service.
For single stores, without touching the rest of the process::

    from execution_store.fiftyone import GrpcExecutionStoreRepo
    repo = GrpcExecutionStoreRepo(dataset_id, address="stores.example:50051")
    service = ExecutionStoreService(repo=repo)

Needs FiftyOne; made for and tested with 1.22.
"""

from __future__ import annotations

from .installation import install, uninstall
from .notifications import GrpcNotificationService
from .orphans import drop_orphan_stores
from .repo import GrpcExecutionStoreRepo

__all__ = [
    "GrpcExecutionStoreRepo",
    "GrpcNotificationService",
    "drop_orphan_stores",
    "install",
    "uninstall",
]
