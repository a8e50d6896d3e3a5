"""`stylegan2-tf export`: a trained generator for other programs, checked against Keras."""

from stylegan2_tf.cli import shared
from stylegan2_tf.export import ENDINGS, FROM_W, TOLERANCE, check_target, export_generator


def add_arguments(parser):
    shared.add_model(parser)
    parser.add_argument("out", metavar="OUT", help="a new folder for savedmodel, else the .onnx or "
                        ".tflite file to write")
    parser.add_argument("--format", choices=tuple(ENDINGS), default="savedmodel", help="SavedModel "
                        "of TensorFlow, ONNX (extra onnx) or LiteRT (extra litert) (default: "
                        "savedmodel)")
    shared.add_psi(parser)


def run(arguments):
    """Write, check and describe the exported generator. Returns the exit code."""
    psi, out = arguments.truncation_psi, arguments.out
    shared.check_psi(psi)
    check_target(out, arguments.format)
    loaded = shared.load_generator(arguments.model, psi=psi)
    difference = export_generator(loaded, out, arguments.format, psi)
    for line in describe(loaded, arguments.format, psi):
        print(line)
    print(f"checked    loaded again, at most {difference:.1e} from Keras for 1, 2 and 7 images "
          f"({TOLERANCE:g} allowed)")
    print(f"written    {out}")
    return 0


def describe(loaded, form, psi):
    """Lines on what the exported file takes and gives."""
    from stylegan2_tf.data import printable

    classes = loaded.classes
    image = f"image [N, {', '.join(map(str, (*loaded.resolution, loaded.channels)))}]"
    label = f", label [N, {len(classes)}]" if classes else ""
    lines = [f"from z     z [N, {loaded.z_dim}]{label} -> {image} in [-1, 1], "
             f"truncation psi {psi:g}"]
    if classes:
        lines.append(f"label      1 for the class, 0 for the others, in this order: "
                     f"{', '.join(map(printable, classes))}")
    if form != "onnx":
        lines.append(f"from w     w [N, {loaded.generator.mapping.w_dim}] -> {image}, the "
                     f"signature {FROM_W!r}, not truncated")
    return lines
