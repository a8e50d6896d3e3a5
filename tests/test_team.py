"""Workers on loopback, started as a user starts them."""

import contextlib
import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_run import make_images

from stylegan2_tf.errors import LostWorkerError, UsageError
from stylegan2_tf.team import Team, check_batches

ROOT = Path(__file__).parent.parent
# Eight images: a step, and so a row of the log, is an epoch.
FLAGS = ("4 8 4 4 8 --resolution 8 --batch 8 --latent 8 --mapping-layers 1 --val 1 --metrics none "
         "--checkpoint 10 --r1-interval 1 --pl-weight 2 --pl-interval 1").split()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("noise"))


def start(data, out, epochs, *more, **environment):
    command = [sys.executable, str(ROOT / "run.py"), str(data), str(out), *FLAGS,
               "--epochs", str(epochs), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env={**os.environ, "OMP_NUM_THREADS": "1", **environment})


def start_workers(data, outs, epochs, *more):
    """A worker for each of `outs`; `more` are further flags of each."""
    with contextlib.ExitStack() as stack:  # ports that nothing else listens on just now
        sockets = [stack.enter_context(socket.socket()) for _ in outs]
        for one in sockets:
            one.bind(("localhost", 0))
        addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    return [start(data, out, epochs, *flags, TF_CONFIG=json.dumps(
        {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}))
        for index, (out, flags) in enumerate(zip(outs, more or [()] * len(outs), strict=True))]


def ended(processes):
    """(exit code, output) of each."""
    said = [process.communicate(timeout=200)[0] for process in processes]
    return [(process.returncode, text) for process, text in zip(processes, said, strict=True)]


def log_of(out):
    with open(out / "log.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_two_workers_lose_what_one_process_does(data, tmp_path):
    alone, together, elsewhere = (tmp_path / name for name in ("alone", "together", "elsewhere"))
    # Each has a folder of its own, as on machines that share no disk.
    (code, said), (other, also_said) = ended(start_workers(data, [together, elsewhere], 20))
    assert (code, other) == (0, 0), said + also_said
    (code, said), = ended([start(data, alone, 20)])
    assert code == 0, said
    one, two = log_of(alone), log_of(together)
    assert len(one) == len(two) == 20
    for row, other in zip(one, two, strict=True):
        for name in ("d_loss", "g_loss", "r1", "pl_penalty", "d_grad_norm"):
            assert float(other[name]) == pytest.approx(float(row[name]), rel=1e-4, abs=1e-4)
    assert (together / "Model" / "generator.keras").exists()
    assert [path.name for path in elsewhere.iterdir()] == ["cache"]  # only the chief writes


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_worker_ends_the_others_and_the_run_goes_on(data, tmp_path, victim):
    out = tmp_path / "out"
    processes = start_workers(data, [out, out], 100_000)
    wait_for(lambda: list(out.glob("checkpoints/step-*")))
    processes[victim].kill()
    killed = time.monotonic()
    other = processes[1 - victim]
    (code, said), _ = ended([other, processes[victim]])
    print(f"worker {victim} killed: the other ended after {time.monotonic() - killed:.1f} s")
    assert time.monotonic() - killed < 60
    assert code == LostWorkerError.exit_code
    assert "expected all 2 workers, found that one is gone" in said.splitlines()[-1]
    (code, said), _ = ended(start_workers(data, [out, out], 3))  # fewer than there are: complete
    assert code == 0 and "resumed at step" in said


@pytest.mark.slow
def test_a_signal_to_any_worker_saves(data, tmp_path):
    out = tmp_path / "out"
    processes = start_workers(data, [out, out], 100_000)
    wait_for(lambda: list(out.glob("checkpoints/step-*")))
    processes[1].send_signal(signal.SIGTERM)
    assert [code for code, _ in ended(processes)] == [143, 143]
    assert max(out.glob("checkpoints/step-*")).name == f"step-{int(log_of(out)[-1]['step']):08d}"


@pytest.mark.slow
def test_workers_must_be_given_one_command(data, tmp_path):
    out = tmp_path / "out"
    processes = start_workers(data, [out, out], 3, ["--seed", "0"], ["--seed", "1"])
    (chief, _), (code, said) = ended(processes)
    assert code == UsageError.exit_code and "--seed (1, the chief's is 0)" in said
    assert chief == LostWorkerError.exit_code


def test_alone_a_team_does_nothing():
    team = Team()
    assert (team.chief, team.replicas, team.share) == (True, 1, (0, 1, 1))
    value = {"a": [1, float("inf")]}
    assert team.agree(value) is value and team.largest(7) == 7
    variable = np.ones(3)
    team.synchronise([variable])


@pytest.mark.parametrize("batch, replicas", [(12, 2), (4, 2), (16, 8)])
def test_batches_that_can_t_be_shared_are_refused(tiny_config, batch, replicas):
    with pytest.raises(UsageError, match=f"--batch: expected a multiple of {4 * replicas} for"):
        check_batches(tiny_config(batch=batch), replicas)
    check_batches(tiny_config(batch=batch), 1)
    check_batches(tiny_config(batch=8 * replicas), replicas)


def test_more_devices_than_there_are_is_refused(data, tmp_path):
    (code, said), = ended([start(data, tmp_path / "out", 1, "--devices", "3")])
    assert code == UsageError.exit_code and "--batch: expected a multiple of 12" in said
    assert not (tmp_path / "out").exists()
