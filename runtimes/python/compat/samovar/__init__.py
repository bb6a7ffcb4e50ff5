"""What Samovar gives to functions: `from samovar import collection`."""

from ._collections import Collection, CollectionError, Expired, Hit, NotFound, Row, Snapshot, collection

__all__ = ["Collection", "CollectionError", "Expired", "Hit", "NotFound", "Row", "Snapshot", "collection"]
