"""How a field of the configuration declares its flag, and how its value is checked."""

import dataclasses
import math
import types
import typing

from stylegan2_tf.errors import UsageError
from stylegan2_tf.sides import as_pair

Sides = int | str  # the type of a side, or of height and width such as 240x256
AUTO = "auto"  # on the command line: as if not given, and over a preset
LARGEST = 2**31 - 1  # of whole numbers
SIZES = ("g_input_res", "g_init_filters", "d_final_res", "d_input_filters", "fade_in_base")


def option(default, help, *, group, unit="", choices=None, minimum=None, above=None, below=None):
    """Declare a field: its default and what the command line says and checks about it."""
    return dataclasses.field(default=default, metadata=dict(
        help=help, group=group, unit=unit, choices=choices,
        minimum=minimum, above=above, below=below))


def flag(name):
    """The spelling of field `name` on the command line."""
    return name if name in ("data_dir", "output_dir", *SIZES) else "--" + name.replace("_", "-")


def value_type(field):
    """The type of a field's value, without the `| None` of those that may be left open."""
    kinds = [kind for kind in typing.get_args(field.type) if kind is not types.NoneType]
    return kinds[0] if kinds else field.type


def may_be_auto(field):
    """Whether `auto` stands for not given, even where a preset gives a value."""
    return type(None) in typing.get_args(field.type) and value_type(field) is not str


def check_value(field, value):
    """Refuse a value of the wrong type or outside the range that its field declares."""
    if value is None and type(None) in typing.get_args(field.type):
        return
    kind, meta = value_type(field), field.metadata
    if field.type == Sides and isinstance(value, (str, tuple, list)):
        value = _shorter_side(field, value)
    wrong = None
    if isinstance(value, bool) != (kind is bool) or not isinstance(
            value, (int, float) if kind is float else kind):
        wrong = f"a value of type {kind.__name__}"
    elif isinstance(value, float) and not math.isfinite(value):
        wrong = "a finite number"
    elif meta["choices"] and value not in meta["choices"]:
        wrong = "one of " + ", ".join(map(str, meta["choices"]))
    elif meta["minimum"] is not None and value < meta["minimum"]:
        wrong = f"at least {meta['minimum']}"
    elif meta["above"] is not None and value <= meta["above"]:
        wrong = f"a number above {meta['above']}"
    elif meta["below"] is not None and value >= meta["below"]:
        wrong = f"a number below {meta['below']}"
    elif isinstance(value, int) and value > LARGEST:
        wrong = f"at most {LARGEST}"
    if wrong:
        raise UsageError(f"{flag(field.name)}: expected {wrong}, found {value!r}")


def _shorter_side(field, value):
    try:
        return min(as_pair(value))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{flag(field.name)}: {error}") from None


def read_numbers(text, kind, count=0):
    """The numbers of a list such as "20,20,40", the last one repeated until there are `count`.

    Raises:
        ValueError: One of them is no number of the type `kind`.
    """
    numbers = [kind(number) for number in text.split(",")]
    return numbers + numbers[-1:] * (count - len(numbers))
