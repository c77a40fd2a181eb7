"""The pair list's name: equal hashes, equal lists. It stands under every table and in every key made of the list."""

import hashlib

import pyarrow as pa

from pipeline.store.schema import PAIRS


def pairs_sha256(table: pa.Table) -> str:
    """Hash the list's content: every row's fields, in order, as tab-separated lines."""
    digest = hashlib.sha256()
    for row in zip(*(table[name].to_pylist() for name in PAIRS.names), strict=True):
        digest.update(("\t".join(map(str, row)) + "\n").encode())
    return digest.hexdigest()
