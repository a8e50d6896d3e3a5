"""Which processes train together, often on several machines: told by TF_CONFIG, or by SLURM.

TensorFlow finds the others through the variable TF_CONFIG; under SLURM it is made from what `srun`
tells each task.
"""

import json

from stylegan2_tf.errors import UsageError, one_line
from stylegan2_tf.tf_quiet import quiet_stderr

PORTS = (20000, 20000)  # the first, and how many: SLURM's jobs on one machine take different ones


def workers_of(cluster):
    """How many workers `find_cluster` has found."""
    return 1 if cluster is None else len(cluster["cluster"]["worker"])


def find_cluster(environ):
    """The workers that this process belongs to, as the content of TF_CONFIG; None if alone.

    Args:
        environ: A dict such as `os.environ`.

    Raises:
        UsageError: TF_CONFIG is no JSON that names workers and this one's index, or SLURM's
            variables contradict each other.
    """
    if environ.get("TF_CONFIG"):
        cluster = _read_tf_config(environ["TF_CONFIG"])
    elif int(environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        cluster = _from_slurm(environ)
    else:
        return None
    return cluster if workers_of(cluster) > 1 else None


def _read_tf_config(text):
    try:
        content = json.loads(text)
        cluster = {job: list(map(str, content["cluster"][job])) for job in content["cluster"]}
        kind, index = content["task"]["type"], int(content["task"]["index"])
        others = set(cluster) - {"chief", "worker"}
        chiefs = cluster.get("chief", [])
        workers = [*chiefs, *cluster.get("worker", [])]
        index += len(chiefs) if kind == "worker" else 0
        if others or kind not in cluster or len(chiefs) > 1 or not 0 <= index < len(workers):
            raise ValueError(f"jobs {', '.join(cluster)}, task {kind} {content['task']['index']}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            'TF_CONFIG: expected JSON such as {"cluster": {"worker": ["host1:20000", '
            '"host2:20000"]}, "task": {"type": "worker", "index": 0}}, found: '
            f"{one_line(error)}; mend it or unset it") from error
    return {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}


def _from_slurm(environ):
    """Every task of the step that `srun` started is a worker."""
    tasks, job = int(environ["SLURM_STEP_NUM_TASKS"]), int(environ.get("SLURM_JOB_ID", 0))
    try:
        with quiet_stderr():
            import tensorflow as tf
        # It would ask nvidia-smi for GPUs, which `_choose_devices` shares out instead.
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=PORTS[0] + job % PORTS[1], gpus_per_node=tasks, gpus_per_task=1,
            auto_set_gpu=False)
        workers = resolver.cluster_spec().as_dict()["worker"]
        index = resolver.get_task_info()[1]
    except (RuntimeError, ValueError, KeyError) as error:
        raise UsageError(f"SLURM: expected the variables that srun sets, found: {one_line(error)}; "
                         "set TF_CONFIG, or unset SLURM_STEP_NUM_TASKS to train alone") from error
    return {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
