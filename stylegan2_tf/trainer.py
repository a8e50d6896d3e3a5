"""The training loop: counters, fade-in, logging, pictures, signals, when to save."""

import contextlib
import math
import signal
import sys
import time

import keras
import numpy as np
from tqdm import tqdm

from stylegan2_tf import artifacts
from stylegan2_tf.checkpoints import Checkpoints
from stylegan2_tf.data import batches, order
from stylegan2_tf.errors import NumericalError
from stylegan2_tf.latent.sampling import draw, make_latents
from stylegan2_tf.networks import Discriminator, Generator
from stylegan2_tf.step import TrainStep
from stylegan2_tf.tracking import make_trackers

LOG_EVERY = 10  # steps in a row of log.csv
SKIPS_ALLOWED = 50  # steps in a row whose update was left out, before the weights are rolled back
RECIPE = 1  # raise it when the same configuration would train otherwise than before
METRICS = ("d_loss", "g_loss", "r1", "gradient_penalty", "score_real", "score_fake",
           "d_grad_norm", "g_grad_norm")
FIELDS = ("step", "nimg", "epoch", "seconds", "images_per_second", "alpha", *METRICS, "skipped")


def make_networks(config):
    """Build generator, its average, and discriminator for `config`, weights by its seed."""
    keras.utils.set_random_seed(config.seed)
    generator, generator_ema = (
        Generator(config.generator_filters, base_resolution=config.g_input_res,
                  channels=config.channels, z_dim=config.latent, w_dim=config.w_units,
                  mapping_layers=config.mapping_layers, name=name)
        for name in ("generator", "generator_ema"))
    discriminator = Discriminator(config.discriminator_filters, channels=config.channels,
                                  final_resolution=config.d_final_res, name="discriminator")
    for network in (generator, generator_ema, discriminator):
        network.build()
    return generator, generator_ema, discriminator


class Trainer:
    """Train on packed images inside a locked run folder.

    Args:
        config: A `TrainConfig`.
        images: `PackedImages`.
        run: A `RunFolder`.
    """

    def __init__(self, config, images, run):
        self.config, self.images, self.run_folder = config, images, run
        self.step_function = TrainStep(*make_networks(config), config)
        self.checkpoints = Checkpoints(run.checkpoints, self.step_function.state,
                                       keep=config.keep, identity=self._identity())
        self.step, self.nimg, self.seconds = 0, 0, 0.0
        self.total = config.epochs * len(images)
        self.signal = None
        self._latents = make_latents(config.val, config.latent, config.seed)
        self._pending = []  # metrics of the steps since the last row of the log
        self._last_row = 0.0  # `seconds` at that row
        self._losses = ""  # what the terminal shows of it
        self._rolled_back = False

    def _identity(self):
        """What a resumed run must share beside the flags: the images, and what flags left open."""
        return {"images": self.images.fingerprint, "recipe": RECIPE,
                "w_dim": self.config.w_units, "adam_rate": self.config.adam_rate,
                "r1_gamma": self.config.r1_weight, "ema_images": self.config.ema_images}

    @property
    def epoch(self):
        return self.nimg / len(self.images)

    def run(self):
        """Train until `epochs` are complete, or until a signal.

        Returns:
            0, or 128 + the number of the signal that ended the run.
        """
        self._restore()
        self.run_folder.write_config(self.config)
        if self.nimg >= self.total:
            print(f"complete: {self.config.epochs} epochs; a larger --epochs goes on")
            return 0
        self.trackers = make_trackers(
            self.run_folder.path, fields=FIELDS, neptune=self.config.neptune,
            resume_step=self.step, name=self.run_folder.path.name)
        self.trackers.start(self.config.to_json())
        status = "failed"
        try:
            with self._signals(), self._progress() as progress:
                with forgiving("samples/reals.png"):
                    self._save_reals()
                self._loop(progress)
                if self.signal:
                    self._save()
            status = "stopped" if self.signal else "finished"
            if self.signal:
                print(f"stopped at step {self.step}; the same command goes on from there")
            else:
                self.trackers.artifact("generator", self.run_folder.models / "generator.keras")
        finally:
            self.trackers.close(status)
        return 128 + self.signal if self.signal else 0

    def _restore(self):
        meta = self.checkpoints.restore()
        if meta is not None:
            self.step, self.nimg, self.seconds = meta["step"], meta["nimg"], meta["seconds"]
            self._last_row = self.seconds
            self.step_function.set_rates()
            self._save_models()  # a kill may have come between the checkpoint and the models

    def _loop(self, progress):
        stream = iter(batches(self.images, batch=self.config.batch, seed=self.config.seed,
                              start=self.nimg))
        started = time.perf_counter() - self.seconds
        while self.nimg < self.total and not self.signal:
            epoch_before = math.floor(self.epoch)
            alpha = self.config.alpha(self.epoch)
            self._pending.append(self.step_function(next(stream), self.nimg, alpha))
            self.step += 1
            self.nimg += self.config.batch
            self.seconds = time.perf_counter() - started
            progress.update(self.config.batch)
            ended = math.floor(self.epoch) > epoch_before
            if ended or self.signal or self.step % LOG_EVERY == 0:
                self._log(progress, alpha)
            if ended:
                self._end_epoch(progress, math.floor(self.epoch))

    def _log(self, progress, alpha):
        """One row for the steps since the last one: the mean of every number."""
        elapsed = self.seconds - self._last_row
        rate = len(self._pending) * self.config.batch / max(elapsed, 1e-9)
        self._last_row = self.seconds
        values = {"epoch": self.epoch, "images_per_second": rate, "alpha": alpha,
                  "skipped": int(self.step_function.skipped)}
        for name in METRICS:
            numbers = [float(metrics[name]) for metrics in self._pending if name in metrics]
            if numbers:
                values[name] = float(np.mean(numbers))
        self._pending = []
        self.trackers.scalars(values, step=self.step, nimg=self.nimg, seconds=self.seconds)
        self._losses = f"D {values['d_loss']:.3f} G {values['g_loss']:.3f}"
        progress.set_postfix_str(self._losses)
        if int(self.step_function.skipped_in_a_row) >= SKIPS_ALLOWED:
            self._roll_back()

    def _roll_back(self):
        """Once: the last good weights, with the random numbers of the steps to come."""
        line = (f"{SKIPS_ALLOWED} updates in a row were not finite at step {self.step}; a lower "
                "--lr or a higher --r1-gamma helps: give it with another OUT")
        if self._rolled_back or self.checkpoints.restore() is None:
            raise NumericalError(line)
        print(f"warning: {line}; the weights were rolled back to that checkpoint, the counters "
              "go on", file=sys.stderr)
        self.step_function.set_rates()
        self.step_function.skipped_in_a_row.assign(0)
        self._rolled_back = True

    # -- what an epoch leaves ------------------------------------------------------------

    def _end_epoch(self, progress, epoch):
        with forgiving("pictures"):
            self._save_pictures(epoch)
        if progress.disable:
            print(f"epoch {epoch}/{self.config.epochs}  {self.nimg / 1000:.1f} kimg  "
                  f"{self.seconds:.0f} s  {self.nimg / self.seconds:.1f} images/s  "
                  f"{self._losses}", flush=True)
        # While updates are being left out, keep the checkpoint from before: see `_roll_back`.
        troubled = int(self.step_function.skipped_in_a_row) > 0
        if self.nimg >= self.total or (epoch % self.config.checkpoint == 0 and not troubled):
            self._save()

    def _save_pictures(self, epoch):
        out, samples = self.run_folder.path, self.run_folder.samples
        grid = artifacts.sample_path(samples, epoch)
        artifacts.save_grid(draw(self.step_function.generator_ema, self._latents), grid)
        artifacts.save_gif(samples, out / "training.gif", epoch)
        artifacts.save_loss_plot(self.run_folder.log_file, out / "losses.png")
        self.trackers.image("images", grid, step=self.step)

    def _save(self):
        final = self.nimg >= self.total or self.signal is not None
        self.checkpoints.save(self.step, final=final, nimg=self.nimg, seconds=self.seconds)
        self._save_models()

    def _save_models(self):
        with forgiving("models"):
            artifacts.save_models(
                self.run_folder.models, self.step_function.generator_ema,
                self.step_function.discriminator, step=self.step, nimg=self.nimg,
                images=self.images.fingerprint, config=self.config.to_json())

    def _save_reals(self):
        chosen = order(self.config.seed, 0, min(self.config.val, len(self.images)),
                       len(self.images))
        reals = self.images.array[np.sort(chosen)]
        if reals.dtype == np.uint16:
            reals = (reals / 257.0).round().astype(np.uint8)
        artifacts.save_grid(reals, self.run_folder.samples / "reals.png")

    def _progress(self):
        return tqdm(total=self.total, initial=self.nimg, unit="img", unit_scale=True,
                    disable=not sys.stderr.isatty(), dynamic_ncols=True)

    @contextlib.contextmanager
    def _signals(self):
        """The first SIGTERM or SIGINT is remembered for the loop; a second acts at once."""
        def remember(number, frame):
            self.signal = number
            for either in before:
                signal.signal(either, signal.SIG_DFL)
            print(f"{signal.Signals(number).name}: finishing this step, then saving; once more "
                  "stops at once", file=sys.stderr)

        before = {number: signal.signal(number, remember)
                  for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def forgiving(what):
    """Print a disk error instead of ending the run: the next interval writes `what` again."""
    try:
        yield
    except OSError as error:
        print(f"warning: {what} not written ({error}); training goes on and tries again",
              file=sys.stderr)
