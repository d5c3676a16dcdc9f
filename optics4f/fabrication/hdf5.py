"""Reading HDF5 of unknown origin: sizes and places are checked before a byte is unpacked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..extras import require

MAX_BYTES = 4 * 2**30
"""Samples that a reader unpacks unless told otherwise [byte]."""

_ATTRIBUTE_BYTES = 2**20
_ATTRIBUTES = 128
_DEFLATE = 1100  # deflate packs at best 1032 bytes into one


def attributes(node: Any) -> dict[str, Any]:
    """The attributes of a group or dataset as plain values.

    Raises:
        ValueError: If there are too many, or one is too large to be an attribute.
    """
    if len(node.attrs) > _ATTRIBUTES:
        raise ValueError(f"{node.name}: expected at most {_ATTRIBUTES} attributes, got {len(node.attrs)}.")
    for name in node.attrs:
        handle = node.attrs.get_id(name)
        size = max(handle.get_storage_size(), math.prod(handle.shape) * handle.dtype.itemsize)
        if size > _ATTRIBUTE_BYTES:
            raise ValueError(
                f"{node.name}.{name}: expected at most {_ATTRIBUTE_BYTES} bytes, got {size} declared."
            )
    return {name: plain(value) for name, value in node.attrs.items()}


def samples(group: Any, name: str, max_bytes: int = MAX_BYTES) -> NDArray[Any]:
    """One dataset of a group, if it stands in this file and is as large as it says.

    Args:
        group: The open h5py group.
        name: Of the dataset, directly in the group.
        max_bytes: Largest size once unpacked.

    Raises:
        ValueError: If it is a link or an external or virtual dataset, has an unknown filter, is larger than
            ``max_bytes``, or larger than its stored bytes can hold.
    """
    h5py = require("h5py", "fab")
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{group.name}/{name}: expected data in this file, got a link or nothing.")
    dataset = group[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise ValueError(f"{dataset.name}: expected data in this file, got a link to another place.")
    if dataset.shape is None or dataset.dtype.hasobject:
        raise ValueError(f"{dataset.name}: expected numbers, got {dataset.dtype}.")
    _check_size(dataset, max_bytes)
    read: NDArray[Any] = dataset[()]
    return read


def plain(value: Any) -> Any:
    """Numbers, text and lists in place of NumPy's."""
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value


def _check_size(dataset: Any, max_bytes: int) -> None:
    declared = math.prod(dataset.shape) * dataset.dtype.itemsize
    if declared > max_bytes:
        raise ValueError(f"{dataset.name}: expected at most {max_bytes} bytes, got {declared} declared.")
    plan = dataset.id.get_create_plist()
    filters = [plan.get_filter(index)[0] for index in range(plan.get_nfilters())]
    h5z = require("h5py", "fab").h5z
    # One deflate only: packed twice, a kilobyte would unpack to a gigabyte.
    allowed = {h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32}
    if not set(filters) <= allowed or filters.count(h5z.FILTER_DEFLATE) > 1:
        raise ValueError(f"{dataset.name}: expected gzip once or no compression, got filters {filters}.")
    if dataset.chunks and any(c > s for c, s in zip(dataset.chunks, dataset.shape, strict=True)):
        raise ValueError(f"{dataset.name}: expected chunks within {dataset.shape}, got {dataset.chunks}.")
    stored = dataset.id.get_storage_size()
    most = stored * (_DEFLATE if h5z.FILTER_DEFLATE in filters else 1)
    if declared > most:
        raise ValueError(f"{dataset.name}: expected {declared} bytes of samples, got {stored} stored.")
