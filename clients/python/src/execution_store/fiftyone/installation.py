"""Puts FiftyOne's execution stores of this process onto the service, and takes them off again."""

from __future__ import annotations

import threading
from typing import Any, Callable

import fiftyone.constants as foc
import fiftyone.core.dataset as fod
import fiftyone.core.odm as foo
import fiftyone.core.odm.database as food
from bson import ObjectId
from fiftyone.factory.repo_factory import RepositoryFactory
from fiftyone.operators.store import ExecutionStoreService as FiftyOneService
from fiftyone.operators.store import clone
from fiftyone.operators.store.notification_service import (
    ChangeStreamNotificationService,
    default_notification_service,
)

from ..service import ExecutionStoreService
from .clone import clone_stores
from .conversion import in_dataset
from .notifications import GrpcNotificationService
from .repo import DEFAULT_COLLECTION, GrpcExecutionStoreRepo


class _Installation:
    """What is replaced in FiftyOne, and by what.

    Attributes:
        service: where the stores are
    """

    def __init__(self, service: ExecutionStoreService) -> None:
        self.service = service
        self._repos: dict[tuple[str, ObjectId | None], GrpcExecutionStoreRepo] = {}
        self._undo: list[Callable[[], None]] = []
        self._former_deletion = foo.delete_dataset

    def apply(self) -> None:
        """Replaces what reaches the collection."""
        if default_notification_service.is_running:
            raise RuntimeError(
                "FiftyOne's notifications are under way in this process already; call install() "
                "before its server starts, or set EXECUTION_STORE_FIFTYONE in its environment"
            )
        self._replace(RepositoryFactory, "execution_store_repo", staticmethod(self._repo))
        if not hasattr(FiftyOneService, "update_policy"):
            # ExecutionStore.update_policy() calls it, and FiftyOne 1.22 lacks it.
            FiftyOneService.update_policy = _update_policy
            self._undo.append(lambda: delattr(FiftyOneService, "update_policy"))
        for module in (foo, food):
            self._replace(module, "delete_dataset", self._delete_dataset)
        self._replace_cloner()
        self._replace_notifications()

    def undo(self) -> None:
        """Puts back what was there."""
        while self._undo:
            self._undo.pop()()

    def _replace(self, owner: Any, name: str, by: Any) -> None:
        # Not getattr(), which would unwrap a static method.
        former = vars(owner).get(name)
        if former is None:
            raise RuntimeError(_unknown(f"{owner.__name__}.{name}"))
        setattr(owner, name, by)
        self._undo.append(lambda: setattr(owner, name, former))

    def _replace_cloner(self) -> None:
        # Others may register cloners later: the list stays the same one.
        cloners = fod._extras_cloners
        former = clone.clone_execution_stores
        if former not in cloners:
            raise RuntimeError(_unknown("cloner of execution stores"))
        cloners[cloners.index(former)] = self._clone
        self._undo.append(lambda: cloners.__setitem__(cloners.index(self._clone), former))

    def _replace_notifications(self) -> None:
        # Others hold this object by its name already, so it changes its kind where it is.
        notifications = default_notification_service
        former = type(notifications)
        notifications._service = in_dataset(self.service, None)
        notifications.__class__ = GrpcNotificationService
        self._undo.append(lambda: setattr(notifications, "__class__", former))

    def _repo(
        self,
        dataset_id: ObjectId | None = None,
        collection_name: str | None = None,
        notification_service: ChangeStreamNotificationService | None = None,
    ) -> GrpcExecutionStoreRepo:
        """As RepositoryFactory.execution_store_repo, which keeps one for each place, too."""
        place = (collection_name or DEFAULT_COLLECTION, dataset_id)
        repo = self._repos.get(place)
        if repo is None:
            repo = GrpcExecutionStoreRepo(
                dataset_id, collection_name, notification_service, service=self.service
            )
            self._repos[place] = repo
        return repo

    def _clone(
        self, src_dataset: Any, dst_dataset: Any, _now: Any, id_map: dict[str, str] | None = None
    ) -> None:
        """As FiftyOne's cloner, on the service."""
        source_id, target_id = src_dataset._doc.id, dst_dataset._doc.id
        if source_id is not None and target_id is not None:
            clone_stores(self.service, str(source_id), str(target_id), id_map or {})

    def _delete_dataset(self, name: str, dry_run: bool = False) -> None:
        """As FiftyOne's low-level deletion, which deletes stores in its own collection only."""
        dataset = foo.get_db_conn().datasets.find_one({"name": name}, {"_id": True})
        self._former_deletion(name, dry_run=dry_run)
        if dataset is not None and not dry_run:
            in_dataset(self.service, dataset["_id"]).cleanup()


_lock = threading.Lock()
_installed: _Installation | None = None


def _update_policy(service: Any, store_name: str, key: str, policy: str) -> Any:
    """Changes a key's policy; whether there was one."""
    return service._repo.update_policy(store_name, key, policy)


def _unknown(what: str) -> str:
    return (
        f"FiftyOne {foc.VERSION} has no {what}, which this package replaces; "
        "it is made for FiftyOne 1.22, use that"
    )


def install(
    address: str | None = None,
    *,
    service: ExecutionStoreService | None = None,
    **options: Any,
) -> None:
    """Puts FiftyOne's execution stores of this process onto the service, save those made before.

    Everything that makes its stores without naming a repository is meant:
    ``ExecutionStoreService()``, ``ExecutionStore.create``, ``ctx.store``, ``execution_cache``;
    subscriptions and server-sent events; the cloning and deletion of datasets. No connection is
    made yet. Where a service is installed already, this one replaces it.

    Args:
        address: ``HOST:PORT`` or ``unix:PATH``; None for that of ``EXECUTION_STORE_ADDRESS``, or
            127.0.0.1:50051
        service: a service whose connection is to be used
        **options: more options of :class:`execution_store.ExecutionStoreService`, such as
            ``timeout`` or ``tls``

    Raises:
        RuntimeError: this FiftyOne lacks something that is replaced, or its notifications are under
            way already
        TypeError: both a service and options for another one are given
        ValueError: an option cannot be used
    """
    global _installed  # noqa: PLW0603
    if service is not None and (address is not None or options):
        raise TypeError("give either a service or what a new one is made of, not both")
    used = ExecutionStoreService(address=address, **options) if service is None else service
    with _lock:
        if _installed is not None:
            _installed.undo()
            _installed = None
        installation = _Installation(used)
        try:
            installation.apply()
        except BaseException:
            installation.undo()
            raise
        _installed = installation


def uninstall() -> None:
    """Gives FiftyOne its own execution stores back. Idempotent.

    Stores made meanwhile stay on the service.
    """
    global _installed  # noqa: PLW0603
    with _lock:
        if _installed is not None:
            _installed.undo()
            _installed = None


def installed_service() -> ExecutionStoreService:
    """The service that FiftyOne's stores are on. Raises RuntimeError if they are on none."""
    installation = _installed
    if installation is None:
        raise RuntimeError("FiftyOne's execution stores are not on a service; call install() first")
    return installation.service
