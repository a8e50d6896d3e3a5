"""Train StyleGAN2 on a folder of images: python run.py DATA_DIR OUT 8 512 8 32 80 --help"""

import sys

from stylegan2_tf.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("train", sys.argv[1:], prog="run.py", usage="run.py"))
