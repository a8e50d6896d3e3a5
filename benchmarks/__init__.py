"""What reproduces the figures of README and of the source."""

import os
import sys


def prepare():
    """Import TensorFlow quietly. Returns the folder of the real data, or ends with one line."""
    source = os.environ.get("STYLEGAN2_TF_DATA")
    if not source:
        sys.exit("STYLEGAN2_TF_DATA: expected the folder that holds brain_slices/, found nothing")
    from stylegan2_tf.tf_quiet import import_tensorflow

    import_tensorflow()
    return source
