"""Import Keras and TensorFlow without the lines that it prints on every start."""

import contextlib
import os
import sys
import tempfile

from stylegan2_tf.errors import UsageError, one_line


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


def import_keras(configure=None):
    """Import Keras on the backend that the user has chosen, quietly: TensorFlow talks.

    TensorFlow's device is woken, too, so that its lines are held.

    Args:
        configure: Called before TensorFlow wakes its devices, which fixes how many there are.

    Returns:
        The name of the backend.

    Raises:
        UsageError: `KERAS_BACKEND` names one that is not there.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    chosen = os.environ.get("KERAS_BACKEND")
    try:
        with quiet_stderr():
            import keras
            if keras.backend.backend() == "tensorflow":
                _wake_tensorflow(configure)
    except (ImportError, ValueError) as error:
        if not chosen:
            raise
        raise UsageError(f"KERAS_BACKEND: expected a backend that is installed, such as "
                         f"tensorflow, found {chosen!r} ({one_line(error)}); unset it, or install "
                         "what it needs") from error
    return keras.backend.backend()


def _wake_tensorflow(configure):
    import tensorflow as tf

    # Its fusions fail on a network that is called twice in one graph, with a line on screen.
    tf.config.optimizer.set_experimental_options({"remapping": False})
    if configure is not None:
        configure()
    tf.zeros(())


def import_tensorflow(purpose="training", configure=None):
    """Import TensorFlow and Keras quietly, see `import_keras`, for what only they can do.

    Args:
        purpose: What that is, for the error.
        configure: See `import_keras`.

    Returns:
        The module `tensorflow`.

    Raises:
        UsageError: Keras runs on another backend.
    """
    backend = import_keras(configure)
    if backend != "tensorflow":
        raise UsageError(f"KERAS_BACKEND: expected tensorflow for {purpose}, found {backend}; "
                         "unset it or set it to tensorflow")
    import tensorflow as tf

    return tf
