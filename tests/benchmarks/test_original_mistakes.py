import keras
import numpy as np
import pytest

from tests import tracks
from tests.conftest import run_program
from tfmds.models import checkpoints
from tfmds.models.config import TwoStreamConfig
from tfmds.models.two_stream import two_stream


@pytest.mark.slow
def test_the_table_has_a_row_for_each_mistake(tmp_path):
    data = tracks.data_set_dir(tmp_path / "data", {"validation": 4, "test": 6})
    config = TwoStreamConfig(width=1 / 16, image_size=32)
    keras.utils.set_random_seed(0)
    checkpoints.save(tmp_path, two_stream(config), checkpoints.State(step=1))
    checkpoints.write_config(
        tmp_path, {"model": config.to_json(), "spec": tracks.SPEC.to_json()}
    )
    done = run_program(
        "benchmarks.original_mistakes",
        f"--model={tmp_path}",
        f"--data_dir={data}",
        "--orders=2",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in done.stdout.splitlines()
        if line.startswith("| ")
    ][2:]
    assert [row[0].split(",")[0] for row in rows][0] == "as it should be"
    assert len(rows) == 5
    aucs = np.array([[float(cell.split()[0]) for cell in row[1:3]] for row in rows])
    assert ((aucs >= 0) & (aucs <= 1)).all()
