"""Everything that a training writes into its folder: trackers, pictures, checkpoints, models."""

import concurrent.futures
import math

from stylegan2_tf.album import Album
from stylegan2_tf.artifacts import forgiving, save_models
from stylegan2_tf.checkpoints import Checkpoints
from stylegan2_tf.fields import METRICS
from stylegan2_tf.precision import resolve
from stylegan2_tf.tracking import make_trackers
from stylegan2_tf.tracking.columns import COLUMNS

RECIPE = 6  # raise it when the same configuration would train otherwise than before


class Keeper:
    """Keeps what a training brings forth.

    Args:
        config: A `TrainConfig`.
        images: `PackedImages` that are trained on.
        run: A `RunFolder`.
        step_function: The `TrainStep`.
        classes: Names of the classes that the networks are told; () for none.

    Attributes:
        best: The metric that chooses `Model/best` -> its best value so far.
    """

    def __init__(self, config, images, run, step_function, classes):
        self.config, self._images, self.run, self._step = config, images, run, step_function
        self._classes = classes
        self.checkpoints = Checkpoints(run.checkpoints, step_function.state, keep=config.keep,
                                       identity=identity_of(config, images.fingerprint, classes))
        self.album = Album(config, images, run, step_function)
        self.trackers = None
        self.best = {}
        self._painter = concurrent.futures.ThreadPoolExecutor(1, "pictures")
        self._painting = None  # the pictures that are being written

    def restore(self):
        """The newest checkpoint that is whole, see `Checkpoints.restore`."""
        return self.checkpoints.restore()

    def write_config(self):
        """Write down what the run is, see `RunFolder.write_config`."""
        self.run.write_config(self.config)

    def begin(self, step):
        """Open the trackers at the step to go on from, and draw real images to compare with."""
        self.trackers = make_trackers(self.run.path, fields=COLUMNS, neptune=self.config.neptune,
                                      resume_step=step)
        self.trackers.start(self.config.public())
        with forgiving("samples/reals.png"):
            self.album.begin()

    def scalars(self, values, **counters):
        """A row of the log, see `Trackers.scalars`."""
        self.trackers.scalars(values, **counters)

    def draw_epoch(self, epoch, step, nimg):
        """The pictures that end an epoch: drawn now, written while the training goes on."""
        drawn = self.album.draw(epoch, nimg)
        self._finish_pictures()
        self._painting = self._painter.submit(self._paint, drawn, step)

    def _paint(self, drawn, step):
        with forgiving("pictures"):
            self.trackers.image("images", self.album.write(*drawn), step=step)

    def _finish_pictures(self):
        painting, self._painting = self._painting, None
        if painting is not None:
            painting.result()

    def redraw_epoch(self, epoch, nimg):
        """The pictures of the epoch that a restored checkpoint ended: a kill may have come
        before they were written."""
        with forgiving("pictures"):
            self.album.write(*self.album.draw(epoch, nimg))

    def save(self, step, nimg, *, final, **counters):
        """A checkpoint, and the models as they are in it."""
        self.checkpoints.save(step, final=final, nimg=nimg, best=self.best, **counters)
        self.save_models(step, nimg)

    def save_best(self, values, step, nimg):
        """`Model/best`, where the first metric is better than ever."""
        name = self.config.best_by
        if name is None:
            return
        value, before = values[f"eval/{name}"], self.best.get(name)
        better = before is None or (value > before if METRICS[name] else value < before)
        if math.isfinite(value) and better:
            self.best = {name: value}
            self.save_models(step, nimg, self.run.best, **self.best)

    def save_models(self, step, nimg, folder=None, **measured):
        with forgiving("models"):
            save_models(
                folder or self.run.models, self._step.generator_ema, self._step.discriminator,
                step=step, nimg=nimg, images=self._images.fingerprint,
                classes=list(self._classes), class_counts=self._images.class_counts,
                source_shape=self._images.source_shape, intensity=self._images.intensity,
                config=self.config.public(), **measured)

    def plot(self):
        """The plot of losses, up to date."""
        self._finish_pictures()
        with forgiving("losses.png"):
            self.album.plot()

    def close(self, status):
        """End the trackers. `status`: "finished", "stopped" or "failed"."""
        try:
            self._finish_pictures()
        finally:
            self._painter.shutdown()
            if status == "finished":
                self.trackers.artifact("generator", self.run.models / "generator.keras")
            self.trackers.close(status)


class NoKeeper:
    """Of several workers all but the chief: they keep nothing."""

    def __getattr__(self, name):
        return lambda *arguments, **options: None


def identity_of(config, images, classes):
    """What a resumed run must share beside the flags: the images, and what flags left open."""
    return {"images": images, "recipe": RECIPE, "classes": list(classes),
            "w_dim": config.w_units, "mapping_layers": config.mapping_depth,
            "adam_rate": config.adam_rate, "d_adam_rate": config.d_adam_rate,
            "r1_gamma": config.r1_weight, "r2_gamma": config.r2_weight,
            "ema_images": config.ema_images, "precision": resolve(config.precision)}
