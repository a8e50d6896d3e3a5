"""How fast training and generation are, beside the bare convolutions of the same step.

    python -m benchmarks.speed [--only 64] [--precision bfloat16] [--json AFTER.json]
                               [--compare BEFORE.json] [--eager] [--steps 500]

Every cell is a process of its own; its peak memory is that of the training steps. The limit is what
the convolutions of a step take one after the other when TensorFlow runs each alone, in the same
process: 3x3 and 1x1 kernels as the networks are written down in float32, whatever an implementation
makes of them.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

CELLS = {
    "32": "4 64 4 16 80 --resolution 32 --batch 32",
    "64": "--preset stylegan2 --max-filters 128 --resolution 64 --batch 16",
    "256": "8 512 8 32 80 --resolution 256 --batch 16",
    "256 dcgan": "8 512 8 32 80 --resolution 256 --batch 16 --arch dcgan",
}
PRECISIONS = ("float32", "bfloat16")
COLUMNS = ("cell", "plain", "R1", "path", "images/s", "limit", "share", "eager", "generated/s",
           "import + build + first step", "GFLOP", "peak MiB")


def measure(cell, precision, repeats, steps, eager):
    """All figures of one cell, as a dict. Runs in a process of its own."""
    started = time.perf_counter()
    from stylegan2_tf.tf_quiet import import_tensorflow

    tf = import_tensorflow()
    imported = time.perf_counter() - started
    import numpy as np

    from benchmarks import convolutions
    from benchmarks.timing import median_ms
    from stylegan2_tf.building import make_networks
    from stylegan2_tf.step import TrainStep

    config = _config(cell, precision)
    step = TrainStep(*make_networks(config), config)
    built = time.perf_counter() - started
    images = np.random.default_rng(0).integers(
        0, 255, (config.batch, *config.sides, config.channels)).astype(np.uint8)
    batch = config.batch
    step(images, batch, 0.5)["d_loss"].numpy()
    found = {"cell": cell, "precision": precision, "seconds_import": imported,
             "seconds_build": built - imported,
             "seconds_first_step": time.perf_counter() - started}
    # The step at each of these counters makes these lazy updates.
    kinds = {step.variant(number * batch): number * batch for number in range(64)}

    def time_each():
        return {variant: median_ms(lambda nimg=nimg: step(images, nimg, 0.5)["g_loss"], repeats)
                for variant, nimg in sorted(kinds.items())}

    milliseconds = time_each()
    found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # on Linux
    found["ms"] = {_name(variant): value for variant, value in milliseconds.items()}
    found["images_per_second"] = 1000.0 * batch / _amortised(milliseconds, config)
    limits, flops = {}, {}
    for variant in milliseconds:
        counts = convolutions.count(_graph(tf, _config(cell, "float32"), images, variant))
        limits[variant] = convolutions.milliseconds(counts, precision, repeats)
        flops[variant] = sum(2 * number * convolution.multiplications
                             for convolution, number in counts.items())
    found["limit_images_per_second"] = 1000.0 * batch / _amortised(limits, config)
    found["gflop_per_image"] = _amortised(flops, config) / batch / 1e9
    found["share"] = found["images_per_second"] / found["limit_images_per_second"]
    found["generated_per_second"] = 1000.0 * batch / median_ms(  # short, hence more of them
        _generation(tf, step, batch), 10 * repeats)
    if eager:
        tf.config.run_functions_eagerly(True)
        found["eager_images_per_second"] = 1000.0 * batch / _amortised(time_each(), config)
        tf.config.run_functions_eagerly(False)
    if steps:
        found["memory_growth_mib"] = _growth(step, images, steps)
    return found


def _config(cell, precision):
    from stylegan2_tf.cli import Parser
    from stylegan2_tf.cli.train import add_arguments
    from stylegan2_tf.config import make_config

    parser = Parser()
    add_arguments(parser)
    given = vars(parser.parse_intermixed_args(
        ["data", "out", *CELLS[cell].split(), "--precision", precision]))
    given.pop("dry_run")
    return make_config(given)


def _name(variant):
    return {(False, False): "plain", (True, False): "R1", (False, True): "path",
            (True, True): "R1 and path"}[variant]


def _amortised(values, config):
    """The mean over many steps of what `values` gives for each variant of a step."""
    d_interval, g_interval = config.d_interval, config.g_interval
    steps = (d_interval or 1) * (g_interval or 1)
    return sum(values[bool(d_interval) and step % d_interval == 0,
                      bool(g_interval) and step % g_interval == 0]
               for step in range(steps)) / steps


def _graph(tf, config, images, variant):
    """The graph of a step, traced but not run."""
    from stylegan2_tf.building import make_networks
    from stylegan2_tf.step import TrainStep

    step = TrainStep(*make_networks(config), config)
    scalars = (tf.constant(0, tf.int64), tf.constant(0.5), tf.constant(1.0))
    return step._compiled.get_concrete_function(
        tf.constant(images), tf.zeros(len(images), tf.int32), *scalars, *variant).graph


def _generation(tf, step, batch):
    from stylegan2_tf.latent.sampling import make_latents

    generator = step.generator_ema
    z = tf.constant(make_latents(batch, generator.z_dim))
    label = None if not generator.classes else tf.one_hot([0] * batch, len(generator.classes))
    return tf.function(lambda: generator(z, label))


def _growth(step, images, steps):
    """MiB that the process grew by in so many steps, after fifty."""
    batch, before = len(images), 0
    for number in range(50 + steps):
        if number == 50:
            before = _resident()
        step(images, number * batch, 0.5)["g_loss"].numpy()
    return _resident() - before


def _resident():
    with open("/proc/self/statm", encoding="ascii") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def run_cell(cell, precision, arguments):
    """`measure` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.speed", "--only", cell, "--precision", precision,
               "--repeat", str(arguments.repeat), "--steps", str(arguments.steps), "--here"]
    command += ["--eager"] * (arguments.eager and precision == "float32")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    if process.wait():
        sys.exit(process.returncode)
    return json.loads(output.splitlines()[-1])


def show(rows, before):
    """Print the table, with the change against `before` in images a second."""
    print(f"| {' | '.join(COLUMNS)} |{' before |' * bool(before)}\n"
          f"{'|---' * (len(COLUMNS) + bool(before))}|")
    for row in rows:
        ms = row["ms"]
        cells = [f"{row['cell']} {row['precision']}", *(
            f"{ms[name]:.0f}" if name in ms else "" for name in ("plain", "R1", "path")),
            f"{row['images_per_second']:.1f}", f"{row['limit_images_per_second']:.1f}",
            f"{row['share']:.0%}", f"{row['eager_images_per_second']:.1f}" if (
                "eager_images_per_second" in row) else "", f"{row['generated_per_second']:.0f}",
            _start(row), f"{row['gflop_per_image']:.1f}",
            f"{row['peak_mib']:.0f}"]
        old = before.get((row["cell"], row["precision"]))
        if before:
            cells.append(f"{row['images_per_second'] / old['images_per_second']:.2f}x" if old
                         else "")
        print(f"| {' | '.join(cells)} |")


def _start(row):
    """Seconds of each part of the way to the first step."""
    built = row["seconds_import"] + row["seconds_build"]
    return (f"{row['seconds_import']:.0f} + {row['seconds_build']:.0f} + "
            f"{row['seconds_first_step'] - built:.0f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=CELLS, help="one row (default: all)")
    parser.add_argument("--precision", choices=PRECISIONS, help="one of them (default: both)")
    parser.add_argument("--repeat", type=int, default=5, help="of which the median counts")
    parser.add_argument("--steps", type=int, default=0, help="also the growth of memory over so "
                        "many further steps")
    parser.add_argument("--eager", action="store_true", help="also the same step without "
                        "tf.function, in float32")
    parser.add_argument("--json", help="write the figures to this file")
    parser.add_argument("--compare", help="figures of an earlier run")
    parser.add_argument("--here", action="store_true", help="measure in this process, print JSON")
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure(arguments.only, arguments.precision, arguments.repeat,
                                 arguments.steps, arguments.eager)))
        return
    rows = [run_cell(cell, precision, arguments)
            for cell in ([arguments.only] if arguments.only else CELLS)
            for precision in ([arguments.precision] if arguments.precision else PRECISIONS)]
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as stream:
            json.dump(rows, stream, indent=2)
    before = {}
    if arguments.compare:
        with open(arguments.compare, encoding="utf-8") as stream:
            before = {(row["cell"], row["precision"]): row for row in json.load(stream)}
    show(rows, before)


if __name__ == "__main__":
    main()
