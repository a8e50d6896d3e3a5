"""What a measure is: a description of every image, and a comparison of two sets of them.

Because a description belongs to one image, a comparison can be repeated on any part of a set
without looking at the pixels again; intervals over subjects (`intervals.py`) rest on that.

Shapes: `N` images, `H W` height and width in pixels, `C` channels.
"""

import dataclasses
import math


class Measure:
    """Base class of all measures.

    Attributes:
        minimum: Images that each set needs at least.
        extractor: None, or the `Extractor` whose features are compared.
    """

    minimum = 2
    extractor = None

    def describe(self, images):
        """Arrays with one row an image.

        Args:
            images: `[N, H, W, C]`, uint8, uint16, or float in `[-1, 1]`.

        Returns:
            A dict of NumPy arrays whose first axis has length N.
        """
        raise NotImplementedError

    def compare(self, real, fake, quick=False):
        """The values of this measure.

        Args:
            real, fake: What `describe` gave, or the same rows of all its arrays.
            quick: For the repetitions of an interval: fewer random projections or less
                output, while the value varies over images as the full one does.

        Returns:
            A dict: name of the value -> `float`.
        """
        raise NotImplementedError

    def scales(self):
        """What its values mean: a dict name -> `Scale`, once `describe` was called."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Scale:
    """How to read a value.

    Attributes:
        label: What to print: "sliced Wasserstein distance at 32x32".
        better: "lower", "higher", or "near" (to the floor).
        unit: "" or what one unit is: "x 1000", "dB".
        range: (lowest, highest) that the value can take; intervals end there.
        note: "" or a caution: "fewer images than features: the value is biased upwards".
    """

    label: str
    better: str = "lower"
    unit: str = ""
    note: str = ""
    range: tuple = (0.0, math.inf)


def rows(description, chosen):
    """The `chosen` rows (indices) of every array of a description."""
    return {name: array[chosen] for name, array in description.items()}
