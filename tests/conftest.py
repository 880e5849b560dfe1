"""What several tests share: a run with random weights, and its export."""

import collections
import fcntl
import functools
import os
import pathlib
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator

import hypothesis
import numpy as np
import pytest
from absl import flags as absl_flags

from tests import launcher

# The same examples at every run: a change is judged by what it changed.
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.load_profile("repeatable")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# A shell that starts the tests in the background has Ctrl-C ignored, and the programs
# that they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config):
    """Where tests run side by side, more threads would get into each other's way."""
    if config.getoption("numprocesses", None):
        # Processes that run tests and programs inherit it.
        for library in ("TF_NUM_INTRAOP", "OMP_NUM", "OPENBLAS_NUM"):
            os.environ.setdefault(f"{library}_THREADS", "1")


def pytest_collection_modifyitems(items):
    """Files with the longest tests begin first, so that all end at the same time."""
    seconds = collections.Counter()
    for item in items:
        for mark in item.iter_markers("slow"):
            seconds[item.path] += mark.args[0] if mark.args else 5
    items.sort(key=lambda item: -seconds[item.path])


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[..., pathlib.Path]:
    """`made_once(NAME, MAKE)`: a folder that `MAKE(FOLDER)` filled.

    Tests only read it: it is the same for all processes that run side by side.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def of(name: str, make: Callable[[pathlib.Path], object]) -> pathlib.Path:
        # Whoever comes first makes it, others wait.
        with (root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (root / name).exists():
                make(root / f"{name}.partial")
                (root / f"{name}.partial").rename(root / name)
        return root / name

    return of


@pytest.fixture(scope="session")
def run_dir(made_once) -> pathlib.Path:
    """A run whose network was never trained."""
    return made_once("run", _make_run)


def _make_run(path: pathlib.Path) -> None:
    import keras

    from tfmds.models import checkpoints, run_config
    from tfmds.models.config import TwoStreamConfig
    from tfmds.models.two_stream import two_stream
    from tfmds.spec import ChunkSpec

    keras.utils.set_random_seed(0)
    config = TwoStreamConfig(width=0.125, image_size=56, region="mouth")
    model = two_stream(config)
    # As after training: no batch norm is one that changes nothing.
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2, w.shape) for w in layer.weights])
    run_config.write(path, {"model": config.to_json(), "spec": ChunkSpec().to_json()})
    checkpoints.save(path, model, checkpoints.State(step=1, epoch=1, best_step=1))


@pytest.fixture(scope="session")
def own_run_dir(run_dir, tmp_path_factory) -> pathlib.Path:
    """The same as if its heads had learned their own streams."""
    from tfmds.models import run_config

    path = tmp_path_factory.mktemp("own") / "run"
    shutil.copytree(run_dir, path)
    config = run_config.read(path)
    recipe = {"visual_weight": 1.0, "audio_weight": 1.0, "stream_labels": "own"}
    run_config.write(path, {**config, "recipe": recipe})
    return path


@pytest.fixture(scope="session")
def threshold_file(run_dir, tmp_path_factory) -> pathlib.Path:
    """A threshold chosen with that run."""
    from tfmds.evaluation import thresholds
    from tfmds.models import checkpoints

    path = tmp_path_factory.mktemp("threshold") / thresholds.FILE
    threshold = thresholds.Threshold(0.5, model_id=checkpoints.model_id(run_dir))
    thresholds.write(path, threshold)
    return path


@pytest.fixture(scope="session")
def export_dir(run_dir, threshold_file, made_once) -> pathlib.Path:
    """That run as a SavedModel."""
    from tfmds.exporting import saved_model

    return made_once(
        "export", lambda path: saved_model.export(run_dir, threshold_file, path)
    )


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> str:
    """A talking head of 3 s with sound."""
    from tests import media

    path = str(tmp_path_factory.mktemp("clip") / "head.mp4")
    mouths = 0.5 + 0.5 * np.sin(np.arange(90) / 3)
    media.write_video(
        path, [media.talking_head(mouth=m) for m in mouths], sound=media.tone(3)
    )
    return path


@pytest.fixture(scope="session")
def demo_dir(made_once) -> pathlib.Path:
    """A small demo data set, made by the programs: videos/, manifest.csv, data/."""
    return made_once("demo", _make_demo)


def _make_demo(root: pathlib.Path) -> None:
    for words in (
        [
            "pipelines.synthesize",
            f"--output_dir={root / 'videos'}",
            "--num_identities=12",
            "--seconds=3",
            "--height=180",
            "--seed=5",
            "--num_workers=1",
        ],
        [
            "pipelines.build_manifest",
            "--layout=dfdc",
            f"--input_dir={root / 'videos'}",
            f"--output={root / 'manifest.csv'}",
        ],
        [
            "pipelines.preprocess",
            f"--manifest={root / 'manifest.csv'}",
            f"--output_dir={root / 'data'}",
            "--name=demo",
            "--crop_size=112",
            "--detect_every=12",
            # No other process of Beam has to import TensorFlow.
            "--direct_num_workers=1",
            "--direct_running_mode=in_memory",
        ],
    ):
        done = run_program(*words)
        assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture
def no_pictures(monkeypatch) -> None:
    """For runs whose board is not looked at: it leaves out what validation found."""
    from tfmds.training import board

    monkeypatch.setattr(board.Board, "write_epoch", lambda *_: None)


@pytest.fixture
def few_steps(no_pictures) -> Iterator[None]:
    """For runs of few steps of a tiny network, which are sooner taken than traced."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def valid_charts(monkeypatch) -> None:
    """Every chart that the test draws is held against Vega-Lite's schema."""
    from tfmds.reporting import charts

    def checked(chart):
        return chart.to_dict(validate=True)

    monkeypatch.setattr(charts, "specification", checked)


@pytest.fixture
def own_flags(monkeypatch) -> absl_flags.FlagValues:
    """Flags that are made in a test are in this process for that test alone."""
    values = absl_flags.FlagValues()
    for kind in ("string", "integer", "float", "bool", "enum", "list", "multi_string"):
        name = f"DEFINE_{kind}"
        define = functools.partial(getattr(absl_flags, name), flag_values=values)
        monkeypatch.setattr(absl_flags, name, define)
    monkeypatch.setattr(absl_flags, "FLAGS", values)
    return values


def run_program(*words: object) -> subprocess.CompletedProcess:
    """Runs `python -m WORDS...` as a user would."""
    return launcher.run(*map(str, words))


def assert_refused(done: subprocess.CompletedProcess, message: str) -> None:
    """Checks that a program ended with one message about its input."""
    assert done.returncode == 2, done.stderr[-2000:]
    assert message in done.stderr
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr
