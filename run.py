"""Train StyleGAN2 on a folder of images: python run.py DATA_DIR OUT 8 512 8 32 80 --help"""

import sys

from stylegan2_tf.cli import explain, run_command
from stylegan2_tf.errors import StyleGANError

if __name__ == "__main__":
    try:
        sys.exit(run_command("train", sys.argv[1:], "run.py"))
    except StyleGANError as error:
        sys.exit(explain("run.py", error))
