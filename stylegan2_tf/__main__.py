"""`python -m stylegan2_tf` is `stylegan2-tf`."""

import sys

from stylegan2_tf.cli import main

sys.exit(main(prog="python -m stylegan2_tf"))
