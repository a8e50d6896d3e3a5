"""The ten kinds of operation on which a training step spends most of its time.

    python -m benchmarks.profile 64 --precision bfloat16

Times are those of the kernels, added over threads: what overlaps counts twice.
"""

import argparse
import collections
import pathlib
import tempfile

from benchmarks.speed import CELLS, PRECISIONS, _config


def profile(function):
    """Operation type -> (milliseconds, calls) of one call of `function`."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    found = collections.defaultdict(lambda: [0.0, 0])
    with tempfile.TemporaryDirectory() as folder:
        options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=2)
        with tf.profiler.experimental.Profile(folder, options):
            function()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(pathlib.Path(folder).rglob("*.xplane.pb")).read_bytes())
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name, _, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
                if name and ":" not in name:  # "network/layer/operation:Type"
                    found[kind][0] += event.duration_ps / 1e9
                    found[kind][1] += 1
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cell", choices=CELLS)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--count", type=int, default=10)
    arguments = parser.parse_args()
    from stylegan2_tf.tf_quiet import import_tensorflow

    import_tensorflow()
    import numpy as np

    from stylegan2_tf.building import make_networks
    from stylegan2_tf.step import TrainStep

    config = _config(arguments.cell, arguments.precision)
    step = TrainStep(*make_networks(config), config)
    images = np.zeros((config.batch, *config.sides, config.channels), np.uint8)
    plain = config.batch  # the counter of a step without lazy updates

    def once():
        step(images, plain, 0.5)["g_loss"].numpy()

    once()
    found = profile(once)
    total = sum(milliseconds for milliseconds, _ in found.values())
    for name, (milliseconds, calls) in sorted(found.items(), key=lambda item: -item[1][0])[
            :arguments.count]:
        print(f"{milliseconds:9.1f} ms  {milliseconds / total:5.1%}  {calls:5} x  {name}")


if __name__ == "__main__":
    main()
