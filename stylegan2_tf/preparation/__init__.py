"""From a folder, an archive or volumes to a prepared data set, which every command opens.

The names load on first use, and none of them imports TensorFlow.
"""

from stylegan2_tf.lazy import lazy

_HOME = {
    "Options": "options",
    "prepare": "writing",
    "open_images": "opening",
    "check_fit": "opening",
    "image_names": "opening",
    "native_form": "opening",
    "is_plain": "opening",
    "open_native": "opening",
    "read_manifest": "manifest",
    "undo": "manifest",
    "read_prepared": "prepared",
}

__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
