"""Training runs in processes of their own, and what they left."""

import os
import pathlib
import subprocess
import sys

from tensorboard.backend.event_processing import event_file_loader
from tensorboard.util import tensor_util

from tests import launcher

# A run of six steps on tests.tracks' data with everything that draws numbers.
FLAGS = (
    "--width=0.0625",
    "--image_size=32",
    "--batch_tracks=2",
    "--chunks_per_track=2",
    "--sampling=random",
    "--augment",
    "--mismatch_weight=1",
    "--balance_classes",
    "--optimizer=adamw",
    "--schedule=cosine",
    "--warmup_steps=3",
    "--epochs=2",
    "--steps_per_epoch=3",
    "--checkpoint_seconds=0",
    "--deterministic",
)


# Shows TensorFlow two devices where there is one.
_TWO_DEVICES = """
import runpy
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
one = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [one, one])
runpy.run_module("tfmds.train", run_name="__main__")
"""

# Kills itself when it has saved the checkpoint of a step; how fast it is, is the same.
_KILLED = """
import os
import runpy
import signal
from tfmds.training.loop import Loop
save = Loop._save

def save_and_die(self, **changes):
    save(self, **changes)
    if self.state.step == {step}:
        os.kill(os.getpid(), signal.SIGKILL)

Loop._save = save_and_die
runpy.run_module("tfmds.train", run_name="__main__")
"""


def start(
    data_dir,
    workdir,
    *flags: str,
    two_devices: bool = False,
    killed_after: int = 0,
    **environment: str,
) -> subprocess.Popen:
    """Starts `python -m tfmds.train`, which dies after that step if one is named."""
    program: tuple[str, str] = ("-m", "tfmds.train")
    if two_devices:
        program = ("-c", _TWO_DEVICES)
    elif killed_after:
        program = ("-c", _KILLED.format(step=killed_after))
    return subprocess.Popen(
        [
            *(sys.executable, *program, *FLAGS, *flags),
            f"--data_dir={data_dir}",
            f"--workdir={workdir}",
        ],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def train(data_dir, workdir) -> str:
    """Runs it to its end, and answers what it printed."""
    words = (*FLAGS, f"--data_dir={data_dir}", f"--workdir={workdir}")
    done = launcher.run("tfmds.train", *words)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def finish(process: subprocess.Popen, code: int = 0) -> str:
    """Waits for its end and answers what it said."""
    said, _ = process.communicate(timeout=600)
    assert process.returncode == code, said[-3000:]
    return said


def scalars(workdir: pathlib.Path, tag: str = "loss/total") -> dict[int, list[float]]:
    """Every value of a scalar that was written, by step."""
    found: dict[int, list[float]] = {}
    for step, value in _summaries(workdir):
        if value.tag == tag:
            numbers = tensor_util.make_ndarray(value.tensor)
            found.setdefault(step, []).extend(numbers.ravel().tolist())
    return found


def tags(workdir: pathlib.Path) -> dict[str, str]:
    """The plugin of TensorBoard that shows each tag."""
    plugins: dict[str, str] = {}
    for _, value in _summaries(workdir):
        plugins.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
    return plugins


def _summaries(workdir):
    for path in sorted((workdir / "logs").iterdir()):
        for event in event_file_loader.EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                yield event.step, value
