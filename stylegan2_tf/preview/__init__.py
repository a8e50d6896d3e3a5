"""What a folder of images holds, before anything is trained on it: facts, and one picture.

>>> from stylegan2_tf.preview import describe, examine, save_preview
>>> findings = examine("AD_NC")
>>> print(*describe(findings), sep="\n")
>>> save_preview(findings, "preview.png")

The names load on first use; none imports TensorFlow, only `save_preview` matplotlib.
"""

from stylegan2_tf.lazy import lazy

_HOME = {
    "Findings": "findings",
    "examine": "findings",
    "Fact": "facts",
    "describe": "facts",
    "suggestion": "facts",
    "save_preview": "page",
}

__all__ = list(_HOME)
__getattr__, __dir__ = lazy(__name__, _HOME)
