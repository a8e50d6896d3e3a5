"""Import TensorFlow without the lines that it prints on every start."""

import contextlib
import os
import sys
import tempfile

from stylegan2_tf.errors import UsageError


@contextlib.contextmanager
def quiet_stderr():
    """Hold back what is written to file descriptor 2; print it after all if there is an error.

    No log-level variable hides TensorFlow's oneDNN and CUDA lines (they come before logging is
    set up), so the descriptor itself is redirected.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            held.seek(0)
            sys.stderr.write(held.read().decode(errors="replace"))
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)


def import_tensorflow():
    """Import TensorFlow and Keras quietly, and wake the device so that its lines are held too.

    Raises:
        UsageError: Keras runs on another backend: training needs TensorFlow.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet_stderr():
        import keras
        import tensorflow as tf

        # Its fusions fail on a network that is called twice in one graph, with a line on screen.
        tf.config.optimizer.set_experimental_options({"remapping": False})
        tf.zeros(())
    if keras.backend.backend() != "tensorflow":
        raise UsageError(f"KERAS_BACKEND: expected tensorflow for training, found "
                         f"{keras.backend.backend()}; unset it or set it to tensorflow")
    return tf
