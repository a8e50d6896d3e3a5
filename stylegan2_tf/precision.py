"""The numbers that networks compute with: 32 bits, or 16 where a machine is faster with them.

Weights, statistics, images, losses, penalties and optimizers are float32 in any case.
"""

import functools

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
AMPERE = (8, 0)  # compute capability from which on a GPU multiplies bfloat16


def resolve(precision):
    """`precision`, or what `auto` stands for on this machine.

    bfloat16 where the GPU is Ampere or later, or without one where the CPU has AMX, which
    multiplies its matrices; float32 elsewhere, where 16 bits are slower.
    """
    if precision != "auto":
        return precision
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    fast = all(detail.get("compute_capability", (0, 0)) >= AMPERE for detail in details) if (
        details) else _has_amx()
    return "bfloat16" if fast else "float32"


def _has_amx():
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as stream:
            return any("amx_bf16" in line.split() for line in stream)
    except OSError:  # not Linux
        return False


def epilogue_compiler(dtype):
    """What makes epilogues (`layers.epilogue`) faster in a training step; None if nothing does.

    XLA, where it was measured: for 16 bits on CPUs, see benchmarks/NOTES.md.
    """
    import tensorflow as tf

    if dtype == "float32" or tf.config.list_physical_devices("GPU"):
        return None
    return functools.partial(tf.function, jit_compile=True)


def in_precision(generator, precision):
    """A generator with the same weights that computes with other numbers; itself if it does so.

    Args:
        generator: A built `Generator`.
        precision: A key of `POLICIES`.
    """
    policy = POLICIES[precision]
    if generator.synthesis.dtype_policy.name == policy:
        return generator
    config = generator.get_config()
    config["synthesis"] = {**config["synthesis"],
                           "config": {**config["synthesis"]["config"], "dtype": policy}}
    other = type(generator).from_config(config)
    other.build()
    other.set_weights(generator.get_weights())
    return other
