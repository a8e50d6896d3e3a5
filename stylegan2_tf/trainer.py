"""The training loop: counters, fade-in, logging, signals, when to draw and to save."""

import math
import sys
import time

import numpy as np
from tqdm import tqdm

from stylegan2_tf import replicas
from stylegan2_tf.building import make_networks
from stylegan2_tf.data import batches
from stylegan2_tf.errors import NumericalError
from stylegan2_tf.examiner import Examiner
from stylegan2_tf.keeper import Keeper, NoKeeper
from stylegan2_tf.schedule import Schedule
from stylegan2_tf.signals import first_signal
from stylegan2_tf.step import TrainStep
from stylegan2_tf.team import Team
from stylegan2_tf.tracking.columns import TERMS
from stylegan2_tf.transfer import take_weights

LOG_EVERY = 10  # steps in a row of log.csv
ROLLBACKS_ALLOWED = 3  # by the watchdog, with half the learning rates each
SKIPS_ALLOWED = 50  # steps in a row whose update was left out, before the weights are rolled back


class Trainer:
    """Train on packed images inside a locked run folder.

    Of several workers all do the same steps, and the chief decides and writes.

    Args:
        config: A `TrainConfig`.
        images: `PackedImages`.
        run: A `RunFolder`; None for a worker that is not the chief.
        holdout: `PackedImages` that are not trained on, or None.
        team: The `Team` that trains; None for this process and one device alone.
    """

    def __init__(self, config, images, run, holdout=None, team=None):
        self.config, self.images = config, images
        self.team = team or Team()
        self.classes = images.classes if config.conditional else ()
        with replicas.scope(self.team.strategy):
            self.step_function = TrainStep(*make_networks(config, self.classes), config)
        self.keeper = NoKeeper() if run is None else Keeper(
            config, images, run, self.step_function, self.classes)
        self.step, self.nimg, self.seconds = 0, 0, 0.0
        self.total = self.until = config.epochs * len(images)
        self.schedule = Schedule(config, self.total)
        self.signal = None
        self._heard = 0  # the signal that this worker has got, not yet known to the others
        self.examiner = Examiner(config, images, holdout, self.step_function)
        self._pending = []  # metrics of the steps since the last row of the log
        self._last_row = 0.0  # `seconds` at that row
        self._losses = ""  # what the terminal shows of it
        self.rollbacks = {"not finite": 0, "alarm": 0}

    @property
    def epoch(self):
        return self.nimg / len(self.images)

    @property
    def _over(self):
        return self.nimg >= self.until or self.signal is not None

    def run(self, until=None):
        """Train until `epochs` are complete, or until a signal.

        Args:
            until: Stop and save after so many images instead, be it within an epoch.

        Returns:
            0, or 128 + the number of the signal that ended the run.
        """
        self.until = until or self.total
        self._restore()
        self.keeper.write_config()
        if self.nimg >= self.until:
            print(f"complete: {self.until / len(self.images):g} epochs; a larger --epochs goes on")
            return self._verdict()
        self.keeper.begin(self.step)
        status = "failed"
        try:
            with first_signal(self._remember), self._progress() as progress:
                self._loop(progress)
                if self.nimg < self.total and not self._suspicious:
                    self._save()
                self.keeper.plot()
            status = "stopped" if self.signal else "finished"
            if self.signal:
                print(f"stopped at step {self.step}; the same command goes on from there")
        finally:
            self.keeper.close(status)
        return 128 + self.signal if self.signal else self._verdict()

    def _verdict(self):
        """0, or the exit code of a run whose last check found something wrong."""
        self.team.agree(None)  # the others wait until the chief has written everything
        for alarm in self.examiner.watchdog.suspects:
            print(f"error: the run ended in trouble: {alarm.line}", file=sys.stderr)
        return NumericalError.exit_code if self.examiner.watchdog.suspects else 0

    def _restore(self):
        meta = self._restored()
        if meta is None:
            self._enter_stage()
            if self.config.init_from is not None and self.team.chief:
                for line in take_weights(self.step_function, self.config.init_from):
                    print(line)
            self._synchronise()
        else:
            self.step, self.nimg, self.seconds = meta["step"], meta["nimg"], meta["seconds"]
            self._last_row, self.keeper.best = self.seconds, meta["best"]
            self.rollbacks = meta["rollbacks"]
            self.examiner.watchdog.state = meta["watchdog"]
            self.schedule = Schedule(self.config, self.total, meta["stages"])
            self.step_function.enter(self.schedule.at(self.nimg - 1))  # of the last step
            self._set_rates()
            # A kill may have come after the checkpoint.
            self.keeper.save_models(self.step, self.nimg)
            before = (self.nimg - self.step_function.stage.batch) / len(self.images)
            if math.floor(self.epoch) > math.floor(before):
                self.keeper.redraw_epoch(math.floor(self.epoch), self.nimg)

    def _restored(self):
        """The newest checkpoint in all workers' networks. Returns its counters, or None."""
        meta = self.team.agree(self.keeper.restore())
        if meta is not None:
            self._synchronise()
        return meta

    def _synchronise(self):
        state = self.step_function.state
        self.team.synchronise([value for values in state.values() for value in values])

    def _enter_stage(self):
        """Train as the schedule says for now."""
        stage = self.schedule.at(self.nimg)
        self.step_function.enter(stage, anew=self.nimg == stage.start)

    def _loop(self, progress):
        stream, alpha = None, 0.0
        started = time.perf_counter() - self.seconds
        while not self._over:
            epoch_before = math.floor(self.epoch)
            if stream is None or self.nimg == self.step_function.stage.end:
                if self._pending:  # a row is of one stage
                    self._log(progress, alpha, {})
                self._enter_stage()
                batch = self.step_function.stage.batch
                stream = batches(self.images, batch=batch, seed=self.config.seed,
                                 start=self.nimg, share=self.team.share)
            alpha = self.config.alpha(self.epoch)
            images, labels = next(stream)
            self._pending.append(self.step_function(images, self.nimg, alpha, labels))
            self.step += 1
            self.nimg += batch
            self.seconds = time.perf_counter() - started
            progress.update(batch)
            epoch = math.floor(self.epoch)
            ended = epoch > epoch_before
            measured = self._examine() if ended and self._examination_due(epoch) else {}
            self._hear()
            if ended or self._over or self.step % LOG_EVERY == 0:
                self._log(progress, alpha, measured)
            if measured:
                self.keeper.save_best(measured, self.step, self.nimg)
                self._react()
            if ended:
                self._end_epoch(progress, epoch, bool(measured))

    def _examine(self):
        """What the chief measures, and what its watchdog thinks of it."""
        watchdog, found = self.examiner.watchdog, None
        if self.team.chief:
            found = self.examiner.examine(self.nimg), watchdog.state
        measured, watchdog.state = self.team.agree(found)
        return measured

    def _examination_due(self, epoch):
        every = self.config.metrics_interval(len(self.images))
        return epoch % every == 0 or self.nimg >= self.total

    def _log(self, progress, alpha, measured):
        """One row for the steps since the last one: the mean of every number, and `measured`."""
        elapsed = self.seconds - self._last_row
        stage = self.step_function.stage
        rate = len(self._pending) * stage.batch / max(elapsed, 1e-9)
        self._last_row = self.seconds
        growth = {} if stage.level is None else {
            "stage": max(stage.sides), "fade": stage.fade(self.nimg - stage.batch)}
        values = {**growth, "epoch": self.epoch, "images_per_second": rate, "alpha": alpha,
                  "skipped": int(self.step_function.skipped.numpy()), **measured}
        for name in TERMS:
            numbers = [float(metrics[name]) for metrics in self._pending if name in metrics]
            if numbers:
                values[name] = float(np.mean(numbers))
        self._pending = []
        self.keeper.scalars(values, step=self.step, nimg=self.nimg, seconds=self.seconds)
        self.examiner.watchdog.note(values["d_grad_norm"], values["g_grad_norm"])
        self._losses = f"D {values['d_loss']:.3f} G {values['g_loss']:.3f}"
        progress.set_postfix_str(self._losses)
        if int(self.step_function.skipped_in_a_row.numpy()) >= SKIPS_ALLOWED:
            self._roll_back("not finite", 1, f"{SKIPS_ALLOWED} updates in a row were not finite "
                            f"at step {self.step}; a lower --lr or a higher --r1-gamma helps: "
                            "give it with another OUT")

    def _roll_back(self, kind, allowed, line):
        """The last good weights, with the random numbers of the steps to come.

        Args:
            kind: "not finite" or "alarm"; half the learning rates from now on after an alarm.
            allowed: How often a run may do so.
            line: What happened.
        """
        meta = self._restored() if self.rollbacks[kind] < allowed else None
        if meta is None:
            raise NumericalError(line)
        if self.schedule.at(meta["nimg"] - 1) != self.step_function.stage:
            raise NumericalError(f"{line}; the last checkpoint is of an earlier stage, whose "
                                 "weights know nothing of the layers added since")
        self.rollbacks[kind] += 1
        print(f"warning: {line}; the weights were rolled back to the last checkpoint, the "
              "counters go on", file=sys.stderr)
        self._set_rates()
        self.step_function.skipped_in_a_row.assign(0)
        self.examiner.watchdog.calm_down()

    def _set_rates(self):
        self.step_function.set_rates(0.5 ** self.rollbacks["alarm"])

    # -- what an epoch leaves ------------------------------------------------------------

    def _end_epoch(self, progress, epoch, examined):
        self.keeper.draw_epoch(epoch, self.step, self.nimg)
        if progress.disable and self.team.chief:
            print(f"epoch {epoch}/{self.config.epochs}  {self.nimg / 1000:.1f} kimg  "
                  f"{self.seconds:.0f} s  {self.nimg / self.seconds:.1f} images/s  "
                  f"{self._losses}", flush=True)
        if self.nimg >= self.total or self._worth_saving(epoch, examined):
            self._save()

    def _worth_saving(self, epoch, examined):
        """Whether a checkpoint is due; one to roll back to must come from healthy weights."""
        if int(self.step_function.skipped_in_a_row.numpy()) > 0:
            return False
        if self.config.on_collapse == "rollback":
            return examined and not self._suspicious
        return epoch % self.config.checkpoint == 0

    @property
    def _suspicious(self):
        return self.config.on_collapse == "rollback" and bool(self.examiner.watchdog.suspects)

    def _react(self):
        """Act on what the watchdog says."""
        alarms = self.examiner.watchdog.alarms
        for alarm in alarms:
            tqdm.write(f"warning: {alarm.line}", file=sys.stderr)
        if alarms and self.config.on_collapse == "rollback" and self.nimg < self.total:
            self._roll_back("alarm", ROLLBACKS_ALLOWED, alarms[0].line)
        elif alarms and self.config.on_collapse == "stop":
            raise NumericalError(f"stopped by --on-collapse: {alarms[0].line}")

    def _save(self):
        self.keeper.save(self.step, self.nimg, final=self._over, seconds=self.seconds,
                         rollbacks=self.rollbacks, stages=self.schedule.lengths,
                         watchdog=self.examiner.watchdog.state)

    def _progress(self):
        return tqdm(total=self.total, initial=self.nimg, unit="img", unit_scale=True,
                    disable=not (self.team.chief and sys.stderr.isatty()),
                    dynamic_ncols=True)

    def _remember(self, number):
        self._heard = number
        if self.team.workers == 1:
            self.signal = number

    def _hear(self):
        """Take note of a signal that any worker has got: all of them at the same step."""
        if self.team.workers > 1 and self.step % LOG_EVERY == 0:
            self.signal = self.team.largest(self._heard) or None
