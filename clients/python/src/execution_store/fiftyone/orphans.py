"""Deletes the stores of datasets that are gone."""

from __future__ import annotations

import logging

import fiftyone.core.odm as foo

from ..service import ExecutionStoreService
from .conversion import in_dataset
from .installation import installed_service

logger = logging.getLogger(__name__)


def drop_orphan_stores(
    dry_run: bool = False, service: ExecutionStoreService | None = None
) -> list[str]:
    """Deletes the stores of datasets that FiftyOne's database does not have.

    Those tied to no dataset stay. FiftyOne's own function of this name looks at the collection in
    its database only. Where several FiftyOne databases, or other programs with dataset ids of their
    own, share a service, this deletes their stores.

    Args:
        dry_run: whether to say which datasets' stores would be deleted, and delete nothing
        service: whose stores are looked at; None for the one that is installed

    Returns:
        the ids of the datasets whose stores were, or would be, deleted

    Raises:
        RuntimeError: no service is given and none is installed
    """
    used = service or installed_service()
    contexts = {each.dataset_id for each in used.list_stores_global() if each.dataset_id}
    # Asked for after the stores: a dataset that is made meanwhile is no orphan.
    known = {str(each) for each in foo.get_db_conn().datasets.distinct("_id")}
    orphans = sorted(contexts - known)
    if orphans:
        logger.info("Deleting the stores of %d datasets that are gone: %s", len(orphans), orphans)
    if not dry_run:
        for dataset_id in orphans:
            in_dataset(used, dataset_id).cleanup()
    return orphans
