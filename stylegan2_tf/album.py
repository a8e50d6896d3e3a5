"""The pictures of a run: real images, augmented ones, samples of every epoch, GIF and plots."""

import numpy as np

from stylegan2_tf import artifacts
from stylegan2_tf.data import order
from stylegan2_tf.latent.sampling import draw, make_latents


class Album:
    """Draws a run's pictures into its folder.

    Args:
        config: A `TrainConfig`.
        images: `PackedImages` that are trained on.
        run: A `RunFolder`.
        step_function: The `TrainStep`.
    """

    def __init__(self, config, images, run, step_function):
        self.config, self.run, self._step = config, run, step_function
        self._latents = make_latents(config.val, config.latent, config.seed)
        chosen = order(config.seed, 0, min(config.val, len(images)), len(images))
        self._reals = images.array[np.sort(chosen)]
        if self._reals.dtype == np.uint16:
            self._reals = (self._reals / 257.0).round().astype(np.uint8)

    def begin(self):
        """Real images, to compare with."""
        artifacts.save_grid(self._reals, self.run.samples / "reals.png")

    def end_epoch(self, epoch, nimg):
        """Samples, GIF, plot, and real images as the discriminator sees them now.

        Returns:
            Path of the sample grid.
        """
        grid = artifacts.sample_path(self.run.samples, epoch)
        artifacts.save_grid(draw(self._step.generator_ema, self._latents), grid)
        artifacts.save_gif(self.run.samples, self.run.path / "training.gif", epoch)
        artifacts.save_loss_plot(self.run.log_file, self.run.path / "losses.png")
        if self.config.augment != "none":
            artifacts.save_grid(self._step.seen(self._reals, nimg),
                                self.run.samples / "augmented.png")
        return grid
