import json
import subprocess
import sys

import pytest

from tests.evaluation import samples
from tfmds.common.errors import InputError
from tfmds.evaluation import epochs, score_files


@pytest.fixture
def run_dir(tmp_path):
    """A run whose third epoch was the best; the second came near."""
    folder = tmp_path / "run" / epochs.FOLDER
    folder.mkdir(parents=True)
    for epoch, separation in enumerate((0.0, 0.3, 0.6, 0.2), start=1):
        videos, _ = samples.tables(
            groups=12, separation=separation, splits=["validation"], seed=3
        )
        score_files.write_videos(folder / epochs.file_name(epoch), videos)
    return tmp_path / "run"


def test_the_best_epoch_and_the_first_that_comes_near_it(run_dir):
    result = epochs.read(run_dir / epochs.FOLDER, "validation", num_draws=200)
    assert list(result.by_epoch) == [1, 2, 3, 4]
    values = [result.auc(epoch).value for epoch in result.by_epoch]
    assert result.best == 1 + values.index(max(values)) == 3
    assert result.enough == 2
    assert "highest after epoch 3" in result.summary
    assert "after epoch 2" in result.summary


def test_the_program_writes_table_chart_and_figures_without_tensorflow(
    run_dir, tmp_path
):
    program = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_module("
        "'tfmds.compare_epochs', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as e: assert not e.code, e.code\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", program, "tfmds.compare_epochs"),
            f"--run={run_dir}",
            f"--output_dir={tmp_path / 'out'}",
            "--draws=100",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "highest after epoch 3" in done.stdout
    written = json.loads((tmp_path / "out" / "epochs.json").read_text())
    assert [row["epoch"] for row in written["epochs"]] == [1, 2, 3, 4]
    page = (tmp_path / "out" / "epochs.html").read_text()
    assert 'id="epochs"' in page
    assert "AUC after each epoch" in page


def test_epochs_of_another_run_in_the_folder_do_not_count(run_dir):
    folder = run_dir / epochs.FOLDER
    found = epochs.read(folder, "validation", only=[1, 2], num_draws=20)
    assert list(found.by_epoch) == [1, 2]
    assert found.best == 2


def test_a_folder_without_scores_of_epochs_is_named(tmp_path):
    with pytest.raises(InputError, match="no scores of epochs"):
        epochs.read(tmp_path, "validation")
