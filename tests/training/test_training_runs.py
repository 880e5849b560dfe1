"""Training in processes of its own: killed, on several devices, in several workers."""

import json
import signal
import socket

import numpy as np
import pytest

from tests import runs, tracks
from tfmds.common.errors import InputError
from tfmds.training import strategies

STEPS = [1, 2, 3, 4, 5, 6]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tracks.data_set_dir(
        tmp_path_factory.mktemp("data"), {"train": 4, "validation": 2}
    )


@pytest.fixture(scope="module")
def undisturbed(data_dir, tmp_path_factory):
    """A run in one process that nothing disturbed."""
    path = tmp_path_factory.mktemp("runs") / "undisturbed"
    runs.train(data_dir, path)
    return path


@pytest.mark.slow(40)
def test_killed_and_started_again_the_losses_are_the_same(
    data_dir, undisturbed, tmp_path
):
    killed = tmp_path / "killed"
    runs.finish(runs.start(data_dir, killed, killed_after=4), code=-signal.SIGKILL)
    said = runs.train(data_dir, killed)
    assert "going on at step 4 of 6" in said
    assert sorted(runs.scalars(killed)) == STEPS
    for tag in ("loss/total", "loss/visual", "learning_rate", "validation/mds_real"):
        expected = runs.scalars(undisturbed, tag)
        # A step that was trained twice came out the same twice.
        found = {step: set(x) for step, x in runs.scalars(killed, tag).items()}
        assert found == {step: set(x) for step, x in expected.items()} != {}


def losses(workdir) -> np.ndarray:
    by_step = runs.scalars(workdir)
    assert sorted(by_step) == STEPS
    return np.array([by_step[step][-1] for step in sorted(by_step)])


def check_same_but_for_rounding(workdir, undisturbed):
    # Flat pictures have next to no variance: batch norms enlarge the rounding, and it
    # grows from step to step.
    found, expected = losses(workdir)[:5], losses(undisturbed)[:5]
    assert found[0] == pytest.approx(expected[0], rel=1e-3)
    np.testing.assert_allclose(found, expected, rtol=0.02)


@pytest.mark.heavy
def test_two_devices_learn_what_one_learns(data_dir, undisturbed, tmp_path):
    run = runs.start(data_dir, tmp_path, "--strategy=mirrored", two_devices=True)
    runs.finish(run)
    check_same_but_for_rounding(tmp_path, undisturbed)


@pytest.mark.heavy
def test_two_workers_one_of_them_killed_learn_what_one_learns(
    data_dir, undisturbed, tmp_path
):
    configs = tf_configs(2)
    workers = [
        runs.start(
            *(data_dir, tmp_path, "--strategy=multi_worker"),
            TF_CONFIG=config,
            killed_after=3 * index,
        )
        for index, config in enumerate(configs)
    ]
    runs.finish(workers[1], code=-signal.SIGKILL)
    workers[1] = runs.start(
        data_dir, tmp_path, "--strategy=multi_worker", TF_CONFIG=configs[1]
    )
    said = runs.finish(workers[0])
    runs.finish(workers[1])
    assert "a worker was lost" in said
    assert "going on at step" in said
    # The chief alone writes: before and after it started anew.
    assert len(list((tmp_path / "logs").iterdir())) == 2
    check_same_but_for_rounding(tmp_path, undisturbed)


def tf_configs(count: int) -> list[str]:
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    workers = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
    for s in sockets:
        s.close()
    return [
        json.dumps(
            {
                "cluster": {"worker": workers},
                "task": {"type": "worker", "index": index},
            }
        )
        for index in range(count)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": [1]}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_a_tf_config_that_names_no_worker_is_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="TF_CONFIG"):
        strategies.make(strategies.MULTI_WORKER)
