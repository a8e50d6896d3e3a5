"""What to expect from several GPUs, from a measured step and a model of the all-reduce.

    python -m benchmarks.scaling --milliseconds 250 --batch 16 --megabytes 196

A step of `R` replicas takes the step of one with its part of the batch (the same part on each: weak
scaling), and an all-reduce of the gradients of G and of D. A ring moves `2 (R - 1) / R` of
the bytes through the slowest link in `2 (R - 1)` messages (Patarasuk and Yuan 2009). Nothing is
taken to overlap, which makes it a lower bound; input, pictures and metrics are left out.
"""

import argparse

# Bytes a second that one GPU can send, and seconds a message takes, of the slowest link on the way:
# NVLink 4 (450 GB/s each way), PCIe 4.0 x16 (32), InfiniBand NDR (50), HDR100 (12.5), Ethernet of
# 25 Gbit/s (3.1); four fifths of each, which collectives reach at best.
LINKS = {
    "NVLink 4": (0.8 * 450e9, 3e-6),
    "PCIe 4.0 x16": (0.8 * 32e9, 5e-6),
    "InfiniBand NDR": (0.8 * 50e9, 5e-6),
    "InfiniBand HDR100": (0.8 * 12.5e9, 5e-6),
    "Ethernet 25 Gbit/s": (0.8 * 3.1e9, 20e-6),
}
REPLICAS = (1, 2, 4, 8, 16, 32, 64)
PER_NODE = 8  # GPUs that NVLink or PCIe join: beyond it only networks count


def all_reduce(size, replicas, bandwidth, latency):
    """Seconds that a ring of `replicas` needs for `size` bytes."""
    if replicas == 1:
        return 0.0
    return 2 * (replicas - 1) / replicas * size / bandwidth + 2 * (replicas - 1) * latency


def efficiency(seconds, size, replicas, bandwidth, latency):
    """Images a second, as a share of `replicas` times those of one.

    Args:
        seconds: A step of one replica with its part of the batch.
        size: Bytes of the gradients of both networks.
        replicas: How many there are.
        bandwidth, latency: Of the slowest link: bytes a second, seconds a message.
    """
    return seconds / (seconds + all_reduce(size, replicas, bandwidth, latency))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--milliseconds", type=float, required=True, help="of a step of one GPU")
    parser.add_argument("--batch", type=int, required=True, help="images that one GPU takes")
    parser.add_argument("--megabytes", type=float, required=True,
                        help="of the float32 gradients of both networks: 4 bytes a parameter")
    given = parser.parse_args()
    seconds, size = given.milliseconds / 1000, given.megabytes * 1e6
    print(f"| images/s with {given.batch} on each GPU | {' | '.join(map(str, REPLICAS))} |\n"
          f"|---{'|---' * len(REPLICAS)}|")
    for name, (bandwidth, latency) in LINKS.items():
        cells = []
        for replicas in REPLICAS:
            share = efficiency(seconds, size, replicas, bandwidth, latency)
            inside = name in ("NVLink 4", "PCIe 4.0 x16") and replicas > PER_NODE
            cells.append("" if inside else
                         f"{share * replicas * given.batch / seconds:.0f} ({share:.0%})")
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
