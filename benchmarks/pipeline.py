"""How fast the packed cache serves images, and what of a step is waiting for them.

    python -m benchmarks.pipeline [--images 20000]

Invented images of 64 pixels. The step is the one of README's `4 128 4 16 80 --resolution 64 --batch
32`; it waits while `next(batches)` has not returned.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path

SERVED, STEPS = 2000, 60


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20000, help="in the set")
    count = parser.parse_args().images
    from stylegan2_tf.tf_quiet import import_tensorflow

    import_tensorflow()
    import numpy as np

    from stylegan2_tf.building import make_networks
    from stylegan2_tf.config import TrainConfig
    from stylegan2_tf.data import PackedImages, batches
    from stylegan2_tf.step import TrainStep

    config = TrainConfig(data_dir="data", output_dir="out", g_input_res=4, g_init_filters=128,
                         d_final_res=4, d_input_filters=16, fade_in_base=80.0, resolution=64,
                         batch=32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        np.save(path, np.random.default_rng(0).integers(0, 256, (count, 64, 64, 1), np.uint8))
        packed = PackedImages(np.load(path, mmap_mode="r"), "", (), (), {})
        rates = []
        for _ in range(5):
            stream = batches(packed, batch=32, seed=0)
            started = time.perf_counter()
            for _ in itertools.islice(stream, SERVED):
                pass
            rates.append(32 * SERVED / (time.perf_counter() - started))
            stream.close()
        step, stream = TrainStep(*make_networks(config), config), batches(packed, batch=32, seed=0)
        waited, total = 0.0, 0.0
        for number in range(STEPS):
            started = time.perf_counter()
            images, labels = next(stream)
            got = time.perf_counter()
            float(step(images, 32 * number, 0.5, labels)["g_loss"])
            if number >= 20:  # by then every kind of step is compiled
                waited += got - started
                total += time.perf_counter() - started
        stream.close()
    print(json.dumps({"images_per_second": round(statistics.median(rates)),
                      "waiting_share": round(waited / total, 5)}))


if __name__ == "__main__":
    main()
