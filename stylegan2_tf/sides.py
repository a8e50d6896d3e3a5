"""Height and width, square or not, as one value: 256, "240x256" or (240, 256)."""

import re


def as_pair(sides):
    """`sides` as (height, width).

    Raises:
        ValueError: It is no whole number, pair, or text such as `240x256`, of positive sides.
    """
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", str(sides)) if isinstance(sides, str) else None
    if found:
        sides = int(found[1]), int(found[2] or found[1])
    pair = (sides, sides) if isinstance(sides, int) else tuple(sides)
    if len(pair) != 2 or any(isinstance(side, str) or int(side) != side or side < 1
                             for side in pair):
        raise ValueError(f"expected a positive side or height x width such as 240x256, found "
                         f"{sides!r}")
    return int(pair[0]), int(pair[1])


def as_text(sides):
    """`sides` as `240x256`."""
    return "x".join(map(str, as_pair(sides)))


def shortest(sides):
    """`sides` as it is stored: an int if they are equal, else `240x256`."""
    height, width = as_pair(sides)
    return height if height == width else as_text(sides)


def doubled(sides, times):
    """(height, width) after `times` doublings."""
    height, width = as_pair(sides)
    return height << times, width << times


def doublings(sides, base):
    """How often `base` doubles to become `sides`, or None if no number of times does it."""
    for times in range(16):
        if doubled(base, times) == as_pair(sides):
            return times
    return None


def smallest_base(sides, least=4):
    """(height, width) that `sides` is halved to while both are even and at least `2 · least`."""
    pair = as_pair(sides)
    while all(side % 2 == 0 and side >= 2 * least for side in pair):
        pair = pair[0] // 2, pair[1] // 2
    return pair


def halvings(sides, least):
    """How often the longer of `sides` is halved until it is at most `least`."""
    longer, count = max(as_pair(sides)), 0
    while longer > least:
        longer, count = longer // 2, count + 1
    return count
