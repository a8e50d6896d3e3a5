"""Whether everything in a run folder is whole: what hashes, what opens, what can be restored.

Nothing is written, moved or locked. The names load on first use: only the checks of checkpoints
and models import TensorFlow, and they come last.
"""

from stylegan2_tf.lazy import lazy

_HOME = {
    "Finding": "finding",
    "check_is_run": "folder",
    "holder": "folder",
    "verify": "run",
}

__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
