"""`stylegan2-tf reproduce`: the command line of a run, and its training repeated."""

import dataclasses
from pathlib import Path

from stylegan2_tf.data import printable
from stylegan2_tf.errors import DataError

WIDTH = 13  # of the names in front of the lines


def add_arguments(parser):
    parser.add_argument("path", metavar="RUN", help="run folder")
    parser.add_argument("--run", dest="out", metavar="DIR", help="train again into this folder, up "
                        "to as many images as the newest checkpoint of RUN has seen, and compare; "
                        "the same command goes on after an interruption")
    parser.add_argument("--data", metavar="FOLDER", help="the training images, if they lie "
                        "elsewhere now")


def run(arguments):
    """Print what is recorded; with `--run` also train. Returns the exit code."""
    from stylegan2_tf.reproduction import read_record

    record = read_record(arguments.path)
    if arguments.data is not None:
        record = dataclasses.replace(record, config=dataclasses.replace(
            record.config, data_dir=arguments.data))
    out = arguments.out or f"{Path(arguments.path)}-again"
    for name, text in describe(record, out):
        print(f"{name:{WIDTH}}{printable(text)}", flush=True)
    return 0 if arguments.out is None else _repeat(record, out)


def describe(record, out):
    """Yield (name, text) of each line on a `Record`; its command writes to `out`."""
    from stylegan2_tf import environment
    from stylegan2_tf.reproduction import command_line

    config, meta = record.config, record.meta
    yield "command", command_line(config, out)
    for what, names in (("versions", record.environment.keys() - set(environment.MACHINE)),
                        ("machine", environment.MACHINE)):
        known = {name: value for name, value in record.environment.items() if name in names}
        yield what, ", ".join(f"{name} {value}" for name, value in known.items()
                              if value not in (None, [])) or "not recorded"
    for line in environment.changes(record.environment, environment.describe()):
        yield "now", line.removeprefix("note: ")
    if config.init_from is not None:
        there = "" if Path(config.init_from).exists() else ", which is missing now"
        yield "weights", (f"taken at the start from {config.init_from}{there}; what they were is "
                          "not recorded")
    for line in record.damaged:
        yield "damaged", line
    if meta is None:
        yield "reached", "not known: no checkpoint is whole"
        return
    yield "images", f"fingerprint {meta['identity'].get('images', 'not recorded')}"
    yield "reached", f"step {meta['step']:,}, {meta['nimg']:,} images"
    if config.progressive and config.stage_kimg is None:
        yield "stages", (f"of {' '.join(map(str, meta['stages'][:-1]))} images and the last, by "
                         "the --epochs that the run began with; --run keeps to these, the command "
                         "above has those of its own --epochs")
    if any(meta["rollbacks"].values()):
        yield "rolled back", (f"{sum(meta['rollbacks'].values())} times to a checkpoint: the same "
                              "again only if they are saved at the same steps")


def _repeat(record, out):
    from stylegan2_tf.cli.summary import check_apart
    from stylegan2_tf.reproduction import config_of_repetition, judge, repeat
    from stylegan2_tf.run_folder import RunFolder

    config = config_of_repetition(record, out)
    check_apart(config)
    with RunFolder(out) as folder:
        code, names = repeat(record, config, folder)
        if code >= 128:  # a signal
            return code
        verdict = judge(record, out, names)
    for line in verdict.lines:
        print(printable(line))
    print(printable(verdict.summary))
    return 0 if verdict.equal else DataError.exit_code
