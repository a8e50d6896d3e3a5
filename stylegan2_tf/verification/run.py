"""All checks of a run folder, the cheap ones first."""

from pathlib import Path

from stylegan2_tf.verification import folder
from stylegan2_tf.verification.finding import Finding


def verify(path):
    """Look at everything in a run folder; nothing there is changed.

    Args:
        path: The folder.

    Yields:
        A `Finding` on each thing once it was looked at. The folder is whole if none is "bad".

    Raises:
        DataError: It is no run folder.
    """
    run = Path(path)
    folder.check_is_run(run)
    yield from folder.check_activity(run)
    config = yield from folder.check_config(run)
    logged = yield from folder.check_log(run / "log.csv")
    yield from folder.check_files(run)
    yield from folder.check_caches(run, config)

    from stylegan2_tf.verification import state

    newest = yield from state.check_checkpoints(run / "checkpoints", config)
    if newest and newest["step"] > logged:
        yield Finding("bad", "log.csv", f"ends at step {logged}, before the checkpoint of step "
                      f"{newest['step']}: rows were lost")
    for models in (run / "Model", run / "Model" / "best"):
        yield from state.check_models(models, models.relative_to(run), config, newest, logged)
