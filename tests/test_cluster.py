import json

import pytest

from stylegan2_tf.cluster import find_cluster, workers_of
from stylegan2_tf.errors import UsageError


def tf_config(cluster, kind="worker", index=0):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


def test_alone_without_variables():
    assert find_cluster({}) is None
    assert find_cluster({"SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "4"}) is None
    assert find_cluster(tf_config({"worker": ["a:1"]})) is None
    assert workers_of(None) == 1


def test_workers_of_tf_config():
    found = find_cluster(tf_config({"worker": ["a:1", "b:2"]}, index=1))
    assert found == {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}
    assert workers_of(found) == 2


@pytest.mark.parametrize("kind, index, number", [("chief", 0, 0), ("worker", 1, 2)])
def test_a_chief_is_the_first_worker(kind, index, number):
    found = find_cluster(tf_config({"chief": ["a:1"], "worker": ["b:1", "c:1"]}, kind, index))
    assert found["cluster"]["worker"] == ["a:1", "b:1", "c:1"]
    assert found["task"] == {"type": "worker", "index": number}


@pytest.mark.parametrize("text", [
    "{", "[]", "3", '{"cluster": {}}', '{"cluster": {"worker": ["a"]}, "task": 1}',
    tf_config({"worker": ["a:1", "b:1"]}, index=2)["TF_CONFIG"],
    tf_config({"worker": ["a:1", "b:1"]}, index=-1)["TF_CONFIG"],
    tf_config({"worker": ["a:1", "b:1"]}, kind="evaluator")["TF_CONFIG"],
    tf_config({"worker": ["a:1", "b:1"], "ps": ["c:1"]})["TF_CONFIG"],
    tf_config({"worker": 5})["TF_CONFIG"]])
def test_what_is_no_cluster_is_refused(text):
    with pytest.raises(UsageError, match="TF_CONFIG: expected JSON such as .* mend it or unset"):
        find_cluster({"TF_CONFIG": text})


def test_slurm_tasks_are_workers(monkeypatch):
    environ = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_JOB_ID": "31234", "SLURM_PROCID": "2",
               "SLURM_LOCALID": "0", "SLURM_STEP_NODELIST": "node[07-08]",
               "SLURM_STEP_TASKS_PER_NODE": "2(x2)"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    found = find_cluster(environ)
    assert found["cluster"]["worker"] == ["node07:31234", "node07:31235", "node08:31234",
                                          "node08:31235"]
    assert found["task"] == {"type": "worker", "index": 2}


def test_half_of_slurm_s_variables_is_refused(monkeypatch):
    monkeypatch.delenv("SLURM_STEP_NODELIST", raising=False)
    with pytest.raises(UsageError, match="SLURM: expected the variables .* SLURM_STEP_NUM_TASKS"):
        find_cluster({"SLURM_STEP_NUM_TASKS": "2"})
