"""A folder of images -> decoded once into a memory map -> endless batches.

The names load on first use: only `order`, `batches` and `to_float` import TensorFlow.
"""

import importlib

_HOME = {
    "find_images": "index",
    "UnreadableImage": "decode",
    "read_image": "decode",
    "fit_image": "decode",
    "PackedImages": "packed",
    "pack": "packed",
    "order": "stream",
    "batches": "stream",
    "to_float": "stream",
}

__all__ = list(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__():
    return sorted(set(globals()) | set(__all__))
