"""What values of a configuration do not go together: each refusal says what to give instead."""

from stylegan2_tf.errors import UsageError
from stylegan2_tf.fields import METRICS, SMALLEST_MEASURED
from stylegan2_tf.options import flag, read_numbers
from stylegan2_tf.presets import STYLES
from stylegan2_tf.sides import as_pair, as_text, doublings, smallest_base

# What a network has at most; `archive` reads no larger one.
LAYERS = 64  # of the mapping network
SIDE = 2**13  # pixels of an image
WIDEST = 2**16  # channels of a layer


def check_all(config):
    """Refuse a `TrainConfig` that no training can follow. Raises `UsageError`."""
    for check in (_check_sizes, _check_bounds, _check_arch, _check_classes, _check_progressive,
                  _check_augment, _check_metrics):
        check(config)


def _check_sizes(config):
    """Refuse sizes that do not go together."""
    for name in ("g_input_res", "d_final_res"):
        start, sides = as_pair(getattr(config, name)), config.sides
        if min(start) >= min(sides):
            raise UsageError(f"{name}: expected below --resolution {as_text(sides)}, found "
                             f"{as_text(start)}; give one of {_bases(sides)}")
        reduced = config.first_sides if name == "g_input_res" else config.final_sides
        if doublings(sides, reduced) is None or start not in (reduced, (min(reduced),) * 2):
            raise UsageError(f"--resolution: expected {name} {as_text(start)} times a power of "
                             f"two, found {as_text(sides)}; for it {name} can be "
                             f"{_bases(sides)}")
    times = doublings(config.sides, config.first_sides)
    if config.g_init_filters >> times < 1:
        raise UsageError(f"g_init_filters: expected at least {2**times}, because channels are "
                         f"halved {times} times up to {as_text(config.sides)} pixels, "
                         f"found {config.g_init_filters}")
    if config.attention is not None:
        first, final = (doublings(config.sides, start) for start in
                        (config.first_sides, config.final_sides))
        common = [max(config.sides) >> times for times in range(min(first, final) + 1)]
        if config.attention not in common:
            raise UsageError("--attention: expected the longer side of maps that both networks "
                             f"have ({', '.join(map(str, common))}), found {config.attention}")


def _check_bounds(config):
    """Refuse networks that no computer holds, and whose saved models would not be read again."""
    for name, found, most in (
            ("resolution", max(config.sides), SIDE),
            ("mapping_layers", config.mapping_depth, LAYERS),
            ("latent", config.latent, WIDEST), ("w_dim", config.w_units, WIDEST),
            ("g_init_filters", config.generator_filters[0], WIDEST),
            ("d_input_filters", config.discriminator_filters[-1], WIDEST)):
        if found > most:
            given = getattr(config, name)
            raise UsageError(f"{flag(name)}: expected at most {most}, found {given}"
                             + f", which grows to {found}" * (found != given))


def _bases(sides):
    """The sizes that a network for images of `sides` may start from, as words."""
    base = smallest_base(sides, least=2)
    times = doublings(sides, base)
    if not times:
        return "none: give a --resolution with even sides"
    bases = [tuple(side >> count for side in sides) for count in range(times, 0, -1)]
    return ", ".join(str(base[0]) if base[0] == base[1] else as_text(base) for base in bases)


def _check_arch(config):
    """Refuse what DCGAN has no place for: it takes one latent, at its first layer, as it is."""
    if config.arch != "dcgan":
        return
    for name in STYLES:
        if getattr(config, name):
            raise UsageError(f"{flag(name)}: expected with --arch stylegan2 or stylegan, found "
                             "--arch dcgan, which has neither styles nor a mapping network; leave "
                             "it out")


def _check_classes(config):
    if config.labels and not (config.classes or config.conditional):
        raise UsageError("--labels: expected with --conditional or --classes, found neither; "
                         "labels alone change nothing")


def _check_progressive(config):
    """Refuse stages that cannot be followed."""
    for name in ("stage_kimg", "stage_batch"):
        text = getattr(config, name)
        if text is not None and not config.progressive:
            raise UsageError(f"{flag(name)}: expected with --progressive, found it alone")
        if text is not None:
            _check_list(config, name, text)
    if config.progressive and config.first_sides != config.final_sides:
        raise UsageError("--progressive: expected both networks to grow from one size, found "
                         f"g_input_res {config.g_input_res} and d_final_res "
                         f"{config.d_final_res}; give equal ones")


def _check_list(config, name, text):
    stages = len(config.generator_filters)
    kind, least, most = (float, 0, stages - 1) if name == "stage_kimg" else (int, 4, stages)
    try:
        numbers = read_numbers(text, kind)
    except ValueError:
        numbers = []
    if not numbers or len(numbers) > most or not all(least <= number < 1e9 and number
                                                     for number in numbers):
        raise UsageError(f"{flag(name)}: expected 1 to {most} numbers with commas between them, "
                         f"each {'above 0' if least == 0 else f'at least {least}'}, found "
                         f"{text!r}")


def _check_augment(config):
    if config.style_mixing > 1:
        raise UsageError("--style-mixing: expected a probability, 0 to 1, "
                         f"found {config.style_mixing}")
    if config.mirror and config.augment == "none":
        raise UsageError("--mirror: expected with --augment mri or color, found --augment "
                         "none, which changes nothing")


def _check_metrics(config):
    """Refuse unknown metrics, and those that images are too small for."""
    for name in config.metric_names:
        if name not in METRICS:
            raise UsageError(f"--metrics: expected none or a list of {', '.join(METRICS)}, found "
                             f"{name!r}; for example swd,kid")
    if config.metric_names and min(config.sides) < SMALLEST_MEASURED:
        raise UsageError(f"--metrics: expected images of at least {SMALLEST_MEASURED} pixels, "
                         f"found --resolution {as_text(config.sides)}; give --metrics none")
    if config.best_metric and config.best_metric not in config.metric_names:
        raise UsageError(f"--best-metric: expected one of --metrics "
                         f"{','.join(config.metric_names) or 'none'}, found "
                         f"{config.best_metric}; measure it, too")
