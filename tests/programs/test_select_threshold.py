import functools
import json

import pytest

from tests.conftest import assert_refused, run_program
from tests.evaluation import samples
from tfmds.common import files
from tfmds.evaluation import score_files


@pytest.fixture
def table(tmp_path):
    score_files.write(tmp_path, *samples.tables(separation=0.3))
    return tmp_path / "scores.csv"


run = functools.partial(run_program, "tfmds.select_threshold")


def test_it_writes_where_the_threshold_comes_from(table, tmp_path):
    out = tmp_path / "out"
    done = run(f"--scores={table}", "--criterion=midpoint", f"--output_dir={out}")
    assert done.returncode == 0, done.stderr
    fields = json.loads((out / "threshold.json").read_text())
    assert fields["criterion"] == "midpoint"
    assert fields["split"] == "validation"
    assert fields["scores_digest"] == files.digest(table)
    assert done.stdout.startswith(f"threshold {fields['value']:.4g}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split=test"], "test split"),
        (["--split=train"], "0 real and 0 fake"),
        (["--criterion=target_fpr"], "--target"),
        (["--model=x"], "either --scores"),
        (["--scores=none.csv"], "no such file"),
    ],
)
def test_bad_input_is_one_message(table, tmp_path, words, message):
    scored = [] if words[0].startswith("--scores") else [f"--scores={table}"]
    if words == ["--model=x"]:
        scored = []
    done = run(*scored, *words, f"--output_dir={tmp_path / 'out'}")
    assert_refused(done, message)
    assert not (tmp_path / "out").exists()


def test_levels_of_localization_are_chosen_where_videos_are_forged_in_a_part(tmp_path):
    score_files.write(tmp_path, *samples.partial_fakes())
    out = tmp_path / "out"
    done = run(f"--scores={tmp_path / 'scores.csv'}", f"--output_dir={out}")
    assert done.returncode == 0, done.stderr
    fields = json.loads((out / "threshold.json").read_text())["localization"]
    assert fields["split"] == "validation"
    assert fields["low"] <= fields["high"]
    assert "AP@0.5" in done.stdout


def test_a_threshold_for_another_detector_needs_labels(table, tmp_path):
    videos = score_files.read_videos(table)
    rows = [f"{n},{m}" for n, m in zip(videos.video_id, videos.mds, strict=True)]
    other = tmp_path / "other.csv"
    other.write_text("\n".join(["video,score", *rows]) + "\n")
    words = [f"--scores={other}", f"--output_dir={tmp_path / 'out'}"]
    assert "--labels" in run(*words).stderr
    done = run(*words, f"--labels={table}")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "threshold.json").read_text())["value"]
