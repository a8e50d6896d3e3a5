"""Files at addresses such as gs://bucket/set, copied once by TensorFlow's file systems."""

import os
from pathlib import Path

from stylegan2_tf.data.index import printable
from stylegan2_tf.errors import DataError, one_line
from stylegan2_tf.files import replacing


def is_address(path):
    """Whether `path` is an address (gs://, s3://, file://, ...) and no path of this machine."""
    return "://" in os.fspath(path)


def read_remote(address):
    """The bytes of the file at an address.

    Raises:
        DataError: It can't be read; also where TensorFlow lacks the file system.
    """
    import tensorflow as tf

    try:
        with tf.io.gfile.GFile(address, "rb") as stream:
            return stream.read()
    except (tf.errors.OpError, OSError) as error:
        raise DataError(f"{printable(address)}: expected a file that can be read, found: "
                        f"{one_line(error)}") from error


def copy_remote(address, path):
    """Copy the file at an address to `path`, whole or not at all. Raises `DataError`."""
    import tensorflow as tf

    try:
        with replacing(Path(path)) as temporary:
            tf.io.gfile.copy(address, os.fspath(temporary), overwrite=True)
    except tf.errors.OpError as error:
        raise DataError(f"{printable(address)}: expected a file that can be copied to "
                        f"{printable(path)}, found: {one_line(error)}") from error
