import functools
import json
import subprocess
import sys

import pytest

from tests.conftest import assert_refused, run_program
from tests.evaluation import samples
from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.evaluation import score_files, threshold_choice, thresholds

_IMPORTS = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_module("tfmds.evaluate", run_name="__main__", alter_sys=True)
except SystemExit as e:
    assert not e.code, e.code
assert not {"tensorflow", "keras"} & set(sys.modules)
"""


@pytest.fixture
def inputs(tmp_path):
    videos, chunks = samples.tables(separation=0.3)
    score_files.write(tmp_path, videos, chunks)
    threshold = threshold_choice.select(videos, "validation", num_draws=20)
    thresholds.write(tmp_path / "threshold.json", threshold)
    return [
        f"--scores={tmp_path / 'scores.csv'}",
        f"--threshold={tmp_path / 'threshold.json'}",
        f"--output_dir={tmp_path / 'out'}",
    ]


run = functools.partial(run_program, "tfmds.evaluate")


def test_it_says_the_result_first_and_writes_it(inputs, tmp_path):
    done = run(*inputs)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert done.stdout.splitlines()[0] == result["summary"]
    assert "20 test videos of 5 groups; all videos scored" in result["summary"]
    assert result["metrics"]["videos/auc"]["value"] > 0.9
    assert result["metrics"]["chunks/manipulation=face_swap/auc"]["value"] > 0.9
    assert result["coverage"]["expected"] == 20
    assert (tmp_path / "out" / "evaluation.png").read_bytes()[:4] == b"\x89PNG"


def test_score_files_need_no_tensorflow(inputs):
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTS, "evaluate", *inputs],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_it_works_with_neither_threshold_nor_chunks(inputs, tmp_path):
    (tmp_path / "chunks.csv").unlink()
    done = run(inputs[0], inputs[2])
    assert done.returncode == 0, done.stderr
    assert "no threshold was given" in done.stdout
    result = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert "videos/accuracy" not in result["metrics"]
    assert not any(name.startswith("chunks/") for name in result["metrics"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--score=aligned"], "use --score=mds"),
        ([], "not a model. Expected the --workdir of tfmds.train, a folder that"),
    ],
)
def test_what_cannot_be_judged_is_told_before_videos_are_scored(
    inputs, tmp_path, words, message
):
    scored = ["--model=none", "--data_dir=none", *inputs[1:]]
    assert_refused(run(*scored, *words), message)


def test_a_fused_score_needs_its_weights(run_dir, tmp_path):
    words = ["--data_dir=none", "--score=fused", f"--output_dir={tmp_path / 'out'}"]
    assert_refused(run(f"--model={run_dir}", *words), "--score=fused needs --threshold")


def test_missing_videos_are_an_error_with_a_way_on(inputs, tmp_path):
    missing = [("test/0-0.mp4", spec.NO_FACE)]
    score_files.write(tmp_path, *samples.tables(separation=0.3, unscored=missing))
    done = run(*inputs)
    assert_refused(done, "test/0-0.mp4 (no_face)")
    assert not (tmp_path / "out" / "metrics.json").exists()
    done = run(*inputs, "--unscored=wrong")
    assert done.returncode == 0
    assert "1 video not scored (1 no_face), counted as wrong" in done.stdout


def test_a_hop_below_a_second_makes_chunks_overlap(run_dir, tmp_path):
    from tests import tracks
    from tfmds.scoring import scorer

    data = tracks.data_set_dir(tmp_path / "data", {"validation": 2})
    scorer.score_data_set(
        run_dir, data, ["validation"], tmp_path / "out", hop_seconds=0.5
    )
    videos = score_files.read_videos(tmp_path / "out" / score_files.VIDEOS_FILE)
    chunks = score_files.read_chunks(tmp_path / "out" / score_files.CHUNKS_FILE, videos)
    assert chunks.start_seconds.tolist() == [0, 0.5, 1, 1.5, 2] * 2
    assert videos.mds[0] == pytest.approx(chunks.distance[:5].mean())
    assert videos.seconds.tolist() == [3, 3]
    with pytest.raises(InputError, match="multiple of 0.1 s"):
        scorer.score_data_set(
            run_dir, data, ["validation"], tmp_path / "out", hop_seconds=0.25
        )


def test_scores_of_another_detector_need_labels(inputs, tmp_path):
    videos = score_files.read_videos(tmp_path / "scores.csv")
    rows = [f"{n},{m}" for n, m in zip(videos.video_id, videos.mds, strict=True)]
    other = tmp_path / "other.csv"
    other.write_text("\n".join(["video,score", *rows, "elsewhere,1"]) + "\n")
    words = [f"--scores={other}", inputs[2]]
    done = run(*words)
    assert_refused(done, "--labels=manifest.csv")
    done = run(*words, f"--labels={tmp_path / 'scores.csv'}")
    assert done.returncode == 0, done.stderr
    assert "20 test videos of 5 groups; all videos scored" in done.stdout
    assert f"not in {tmp_path / 'scores.csv'}: 1" in done.stdout


def test_a_report_is_one_page(inputs, tmp_path):
    done = run(*inputs, f"--report={tmp_path / 'report'}")
    assert done.returncode == 0, done.stderr
    (page,) = (tmp_path / "report").iterdir()
    assert str(page) in done.stdout
    text = page.read_text()
    assert done.stdout.splitlines()[0] in text
    assert f"--report={tmp_path / 'report'}" in text
    assert "sha256:" in text


def test_faces_come_from_the_data_set(tmp_path):
    from tests import tracks
    from tfmds.data import stored_faces

    data = tracks.data_set_dir(tmp_path / "data", {"test": 3})
    faces = stored_faces.read(data, ["test", "train"], ["test1", "elsewhere"])
    assert list(faces) == ["test1"]
    assert list(faces["test1"]) == [(0, 0.0), (0, 1.0), (0, 2.0)]
    # The frames of that video are grey and brighter by one each.
    brightness = [_mean_of(jpeg) for jpeg in faces["test1"].values()]
    assert brightness == pytest.approx([65, 95, 125], abs=2)


def _mean_of(jpeg):
    import cv2
    import numpy as np

    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (96, 96, 3)
    return picture.mean()
