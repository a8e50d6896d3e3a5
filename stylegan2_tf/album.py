"""The pictures of a run: real images, augmented ones, samples of every epoch, GIF and plots."""

import time

import numpy as np

from stylegan2_tf import artifacts
from stylegan2_tf.data import order
from stylegan2_tf.latent.sampling import draw, enlarged, make_latents
from stylegan2_tf.plots import save_loss_plot

PLOT_SECONDS = 30  # between two loss plots, at least: each takes about one


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
        self._plotted = -PLOT_SECONDS
        self._reals = images.array[_shown(config, images)]
        if self._reals.dtype == np.uint16:
            self._reals = (self._reals / 257.0).round().astype(np.uint8)

    def begin(self):
        """Real images, to compare with."""
        artifacts.save_grid(self._reals, self.run.samples / "reals.png")

    def draw(self, epoch, nimg):
        """Samples of the networks as they are now, and real images as the discriminator sees
        them. With classes both are of every class in turn.

        Returns:
            What `write` takes: arrays that training does not change.
        """
        fakes = enlarged(draw(self._step.generator_ema, self._latents), self.config.sides)
        seen = (None if self.config.augment == "none" else self._step.seen(self._reals, nimg))
        return epoch, fakes, seen, self._caption(epoch, nimg)

    def write(self, epoch, fakes, seen, caption):
        """Write what was drawn, samples also beside reals, the GIF, now and then the loss plot.

        Returns:
            Path of the sample grid.
        """
        samples = self.run.samples
        grid = artifacts.sample_path(samples, epoch)
        artifacts.save_grid(fakes, grid, caption)
        artifacts.save_png(artifacts.fake_beside_real(fakes, self._reals),
                           samples / f"fake-vs-real-epoch-{epoch:04d}.png", caption)
        artifacts.save_gif(samples, self.run.path / "training.gif", epoch)
        if time.monotonic() - self._plotted >= PLOT_SECONDS:
            self.plot()
        if seen is not None:
            artifacts.save_grid(seen, samples / "augmented.png")
        return grid

    def plot(self):
        """The plot of losses so far."""
        save_loss_plot(self.run.log_file, self.run.path / "losses.png")
        self._plotted = time.monotonic()

    def _caption(self, epoch, nimg):
        """What the GIF says above a frame: the stage of a progressive training."""
        stage = self._step.stage
        if stage.level is None:
            return None
        fade = stage.fade(nimg)
        fading = "" if fade == 1.0 else f", fading in {fade:.0%}"
        return f"epoch {epoch}: {stage.name}{fading}"


def _shown(config, images):
    """Indices of the real images in the pictures: with classes of every class in turn."""
    count = min(config.val, len(images))
    shuffled = order(config.seed, 0, len(images), len(images))
    if not config.conditional:
        return np.sort(shuffled[:count])
    of_class = [shuffled[images.labels[shuffled] == label]
                for label in range(len(images.classes))]
    rounds = [(place // len(of_class), of_class[place % len(of_class)]) for place in range(count)]
    return np.array([members[number % len(members)] for number, members in rounds])
