"""`stylegan2-tf demo-data`: make demonstration slices from the MNI152 template."""


def add_arguments(parser):
    """Declare the folder and what may be varied."""
    parser.add_argument("folder", help="where to write: a new or empty folder, or one begun before")
    parser.add_argument("--subjects", type=int, default=40, metavar="N",
                        help="subjects, 32 slices each (default: 40, which are 1,280 images)")
    parser.add_argument("--size", type=int, default=128, metavar="PIXELS",
                        help="edge of the square images in pixels, 16 to 512 (default: 128)")
    parser.add_argument("--seed", type=int, default=0,
                        help="whole number; another one gives other subjects (default: 0)")


def run(arguments):
    """Make what is missing and say what the folder holds. Returns the exit code."""
    from stylegan2_tf.demo import SLICES, WARNING, make_demo_data

    new = make_demo_data(arguments.folder, subjects=arguments.subjects, size=arguments.size,
                         seed=arguments.seed)
    count = arguments.subjects * SLICES
    print(f"{arguments.folder}: {count:,} slices of {arguments.subjects:,} subjects, "
          f"{new:,} of them new.")
    print(f"{WARNING} See NOTICE.txt there.")
    return 0
