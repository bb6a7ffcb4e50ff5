"""What Samovar gives to functions: `from samovar import collection`."""

from ._collections import (Ack, Batch, Collection, CollectionError, Expired, Hit, NotFound, ReadOnly, Row, Snapshot,
                           collection)

__all__ = ["Ack", "Batch", "Collection", "CollectionError", "Expired", "Hit", "NotFound", "ReadOnly", "Row", "Snapshot",
           "collection"]
