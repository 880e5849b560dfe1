import pathlib

import keras
import pytest

from tests import kills
from tfmds.common import files
from tfmds.common.errors import InputError
from tfmds.models import checkpoints, run_config
from tfmds.models.checkpoints import State
from tfmds.models.config import TwoStreamConfig
from tfmds.models.two_stream import two_stream
from tfmds.spec import ChunkSpec

TINY = TwoStreamConfig(width=0.0625, image_size=32)


def test_last_and_best_are_kept_and_the_best_is_loaded(tmp_path):
    run_config.write(tmp_path, {"model": TINY.to_json(), "spec": ChunkSpec().to_json()})
    model = two_stream(TINY)
    kernel = model.get_layer("visual_embedding").kernel
    for step, best in ((1, 1), (2, 2), (3, 2), (4, 2)):
        kernel.assign(kernel * 0 + step)
        checkpoints.save(tmp_path, model, State(step=step, best_step=best))
    names = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert names == ["00000002", "00000004"]
    loaded, config, _ = checkpoints.load_model(tmp_path)
    assert config == TINY
    assert loaded.get_layer("visual_embedding").kernel.numpy().min() == 2
    assert checkpoints.latest_state(tmp_path).step == 4


def test_checkpoints_of_the_last_epochs_stay_where_that_is_wanted(tmp_path):
    model = two_stream(TINY)
    states = [
        State(step=3, epoch=1, best_step=3, kept_steps=[3]),
        State(step=6, epoch=2, best_step=3, kept_steps=[3, 6]),
        State(step=9, epoch=3, best_step=3, kept_steps=[6, 9]),
        State(step=10, epoch=3, best_step=3, kept_steps=[6, 9], loss_sum=1.5),
    ]
    for state in states:
        checkpoints.save(tmp_path, model, state)
    assert checkpoints.epoch_ends(tmp_path) == {1: 3, 2: 6, 3: 9}
    assert checkpoints.latest_state(tmp_path) == states[-1]


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    model = two_stream(TINY)
    checkpoints.save(tmp_path, model, State(step=5, best_step=5))

    def full(*_):
        raise RuntimeError("file write failed: errno = 28, 'No space left on device'")

    monkeypatch.setattr(model, "save_weights", full)
    with pytest.raises(InputError, match="00000006: no space is left on the disk"):
        checkpoints.save(tmp_path, model, State(step=6, best_step=5))
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["00000005"]


def test_a_half_written_checkpoint_is_not_seen(tmp_path):
    model = two_stream(TINY)
    checkpoints.save(tmp_path, model, State(step=5, best_step=5))
    (tmp_path / "checkpoints" / ".00000009.partial").mkdir()
    assert checkpoints.latest_state(tmp_path).step == 5


@pytest.mark.parametrize("step", [2, 3], ids=["replaced", "next"])
@pytest.mark.parametrize("exchange", [True, False])
def test_a_run_goes_on_wherever_saving_was_stopped(
    tmp_path, monkeypatch, step, exchange
):
    if not exchange:
        monkeypatch.setattr(files, "_exchange", lambda *_: False)
    steps = kills.Steps(monkeypatch)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name="x")])
    kernel = model.get_layer("x").kernel

    def write_weights(path):
        # HDF5 opens the file itself, and fills it later.
        steps.take()
        pathlib.Path(path).write_bytes(b"half")
        steps.take()
        keras.saving.save_weights(model, path)

    monkeypatch.setattr(model, "save_weights", write_weights)

    def save(workdir, step, value, **best):
        kernel.assign([[value]])
        checkpoints.save(workdir, model, State(step=step, loss_sum=value, **best))

    def begin(workdir):
        save(workdir, 1, 1.0, best_step=1)
        save(workdir, 2, 2.0, best_step=1)

    begin(tmp_path / "whole")
    total = steps.run(lambda: save(tmp_path / "whole", step, 9.0, best_step=step))
    assert total >= 8
    reached = set()
    for most in range(total):
        run = tmp_path / f"stopped{most}"
        begin(run)
        steps.run(lambda run=run: save(run, step, 9.0, best_step=step), most=most)
        if exchange:
            assert checkpoints.latest_state(run).step in (2, step)
        checkpoints.clear_interrupted(run)
        state = checkpoints.latest_state(run)
        kernel.assign([[0.0]])
        checkpoints.restore(run, model, state)
        assert kernel.numpy() == state.loss_sum in (2.0, 9.0)
        reached.add(state.loss_sum)
        save(run, 4, 4.0, best_step=4)
        assert [p.name for p in (run / "checkpoints").iterdir()] == ["00000004"]
    assert reached == {2.0, 9.0}


def test_a_damaged_state_is_named(tmp_path):
    folder = tmp_path / "checkpoints" / "00000003"
    folder.mkdir(parents=True)
    for text, message in (
        ("{", "line 1: not valid JSON"),
        ('{"step": "three"}', r"cannot be read: .*\$\.step"),
    ):
        (folder / "state.json").write_text(text)
        with pytest.raises(InputError, match=rf"state\.json.*{message}"):
            checkpoints.latest_state(tmp_path)


def test_a_directory_that_is_no_run_is_named(tmp_path):
    with pytest.raises(InputError, match="not a model"):
        checkpoints.load_model(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(InputError, match=r"config\.json"):
        checkpoints.load_model(tmp_path)
    run_config.write(tmp_path, {"model": TINY.to_json(), "spec": ChunkSpec().to_json()})
    with pytest.raises(InputError, match="no checkpoint yet"):
        checkpoints.load_model(tmp_path)
