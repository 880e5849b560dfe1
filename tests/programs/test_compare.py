import functools
import json

import pytest

from tests.conftest import assert_refused, run_program
from tests.evaluation import samples
from tfmds.evaluation import score_files


@pytest.fixture
def files(tmp_path):
    """Two runs on the same videos, and a third detector's two columns."""
    for name, separation in (("good", 0.3), ("poor", 0.05)):
        videos, chunks = samples.tables(separation=separation, groups=8)
        score_files.write(tmp_path / name, videos, chunks)
    rows = [
        f"{name},{10 * mds}"
        for name, mds in zip(videos.video_id, videos.mds, strict=True)
    ]
    (tmp_path / "other.csv").write_text("\n".join(["video,score", *rows]) + "\n")
    return tmp_path


run = functools.partial(run_program, "tfmds.compare")


def test_it_says_which_is_better_and_writes_it(files):
    out = files / "out"
    done = run(
        files / "poor/scores.csv", files / "good/scores.csv", f"--output_dir={out}"
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((out / "comparison.json").read_text())
    assert done.stdout.splitlines()[0] == result["summary"]
    assert "good ranks them better" in result["summary"]
    assert result["difference"]["low"] > 0
    assert result["delong"]["p_value"] < 0.01
    assert f"Different verdicts on {result['disagreements']} videos" in done.stdout
    assert "<svg" not in (out / "comparison.html").read_text()[:1000]


@pytest.mark.parametrize("first", [True, False])
def test_scores_of_another_detector_take_their_labels_from_the_other_file(files, first):
    paths = [files / "other.csv", files / "poor/scores.csv"]
    out = files / "out"
    done = run(*(paths if first else paths[::-1]), f"--output_dir={out}")
    assert done.returncode == 0, done.stderr
    result = json.loads((out / "comparison.json").read_text())
    # Ten times the same scores rank the same.
    assert result["difference"]["value"] == pytest.approx(0, abs=1e-9)
    assert result["delong"]["p_value"] is None
    assert result["rank_correlation"] == pytest.approx(1)
    assert "other" in result["names"]


@pytest.mark.parametrize("first", [True, False])
def test_rows_under_other_names_are_counted(files, first):
    path = files / "other.csv"
    header, *rows = path.read_text().splitlines()
    # The first five are found all the same, the next are of nobody.
    renamed = ["clips/" + row.replace(",", ".mov,") for row in rows[:5]]
    rows[5:8] = [f"nobody{n},1" for n in range(3)]
    path.write_text("\n".join([header, *renamed, *rows[5:]]) + "\n")
    paths = [path, files / "poor/scores.csv"]
    done = run(*(paths if first else paths[::-1]), f"--output_dir={files / 'out'}")
    assert done.returncode == 0, done.stderr
    notes = json.loads((files / "out/comparison.json").read_text())["notes"]
    unknown = f"rows of {path} that are not in {files / 'poor/scores.csv'}: 3"
    assert unknown in notes
    assert any("5 videos were found by their names without" in note for note in notes)
    assert unknown in done.stdout


@pytest.mark.parametrize(
    ("names", "flags", "message"),
    [
        (["good/scores.csv"], [], "expected two score files, got 1"),
        (
            ["other.csv", "other.csv"],
            [],
            "says what the videos are; one of them",
        ),
        (["good/scores.csv", "none.csv"], [], "no such file"),
        (["good/scores.csv", "poor/scores.csv"], ["--split=train"], "0 real and 0"),
        (["good/scores.csv", "poor/scores.csv"], ["--thresholds=a"], "expected two"),
    ],
)
def test_bad_input_is_one_message(files, names, flags, message):
    paths = [files / name for name in names]
    done = run(*paths, *flags, f"--output_dir={files / 'out'}")
    assert_refused(done, message)
    assert not (files / "out").exists()


def test_two_labels_of_one_video_are_refused(files):
    path = files / "poor/scores.csv"
    text = path.read_text()
    assert "test/0-0.mp4,real" in text
    path.write_text(text.replace("test/0-0.mp4,real", "test/0-0.mp4,fake"))
    done = run(path, files / "good/scores.csv", f"--output_dir={files / 'out'}")
    assert_refused(done, "'test/0-0.mp4' is fake in test for poor and real in test")
