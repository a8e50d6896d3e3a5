"""Adaptive discriminator augmentation (ADA, arXiv:2006.06676), safe for MRI.

What the discriminator sees, reals and fakes alike, passes through the same random
transformations; how often each is applied follows from how much the discriminator over-fits.
"""

from stylegan2_tf.augment.controller import Controller
from stylegan2_tf.augment.pipe import PIPES, augment

__all__ = ["PIPES", "Controller", "augment"]
