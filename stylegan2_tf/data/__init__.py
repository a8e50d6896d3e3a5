"""A folder of images -> decoded once into a memory map -> endless batches.

The names load on first use: only `order`, `batches` and `to_float` import TensorFlow.
"""

from stylegan2_tf.lazy import lazy

_HOME = {
    "find_images": "index",
    "spread": "index",
    "printable": "index",
    "UnreadableImage": "decode",
    "read_image": "decode",
    "fit_image": "decode",
    "PackedImages": "packed",
    "pack": "packed",
    "find_labels": "classes",
    "choose": "division",
    "divide": "division",
    "division_of": "division",
    "check_disjoint": "subjects",
    "find_subjects": "subjects",
    "halves": "subjects",
    "split_by_subject": "subjects",
    "subject_scheme": "subjects",
    "order": "stream",
    "batches": "stream",
    "to_float": "stream",
}

__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
