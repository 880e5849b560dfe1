import keras
import numpy as np
import pytest

from benchmarks import original_mistakes
from tests import tracks
from tfmds.models import checkpoints, run_config
from tfmds.models.config import TwoStreamConfig
from tfmds.models.two_stream import two_stream


@pytest.mark.slow
def test_the_table_has_a_row_for_each_mistake(tmp_path, capsys):
    data = tracks.data_set_dir(tmp_path / "data", {"validation": 4, "test": 6})
    config = TwoStreamConfig(width=1 / 16, image_size=32)
    keras.utils.set_random_seed(0)
    checkpoints.save(tmp_path, two_stream(config), checkpoints.State(step=1))
    run_config.write(
        tmp_path, {"model": config.to_json(), "spec": tracks.SPEC.to_json()}
    )
    original_mistakes.main(
        original_mistakes.MistakesConfig(
            model=str(tmp_path), data_dir=str(data), orders=2
        )
    )
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("| ")
    ][2:]
    assert [row[0].split(",")[0] for row in rows][0] == "as it should be"
    assert len(rows) == 5
    aucs = np.array([[float(cell.split()[0]) for cell in row[1:3]] for row in rows])
    assert ((aucs >= 0) & (aucs <= 1)).all()
