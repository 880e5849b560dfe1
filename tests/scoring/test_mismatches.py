import dataclasses

import numpy as np
import pytest

from tests import tracks as drawn
from tests.conftest import run_program
from tfmds.data.data_set import VideoRow
from tfmds.evaluation import score_files, thresholds
from tfmds.scoring import mismatches
from tfmds.scoring.mismatches import Track


def track(name: str, count: int, seed: int = 0, number: int = 0) -> Track:
    rng = np.random.default_rng(seed)
    video = dataclasses.replace(drawn.video(name), split="validation")
    return Track(
        VideoRow(video, "ok", "", 1, count // 2, count / 2),
        number,
        np.arange(count, dtype=np.float32) / 2,
        rng.normal(size=(count, 4)).astype(np.float32),
        rng.normal(size=(count, 4)).astype(np.float32),
    )


def test_each_video_gets_a_swap_and_a_shift_of_known_distances():
    tracks = [track("a", 5, 1), track("b", 4, 2), track("c", 1, 3)]
    videos, chunks = mismatches.score_tracks(tracks)
    kinds = dict(zip(videos.video_id, videos.manipulation, strict=True))
    assert kinds["a+voice_shift"] == "voice_shift"
    # One chunk cannot be shifted; it can be swapped.
    assert set(kinds) - {"a", "b", "c"} == {
        "a+voice_swap",
        "a+voice_shift",
        "b+voice_swap",
        "b+voice_shift",
        "c+voice_swap",
    }
    assert [videos.label[list(kinds).index(x)] for x in ("a", "a+voice_swap")] == [1, 0]
    by_video = {
        name: chunks.distance[chunks.video_id == name].tolist() for name in kinds
    }
    a, b, _ = tracks
    apart = lambda x, y: pytest.approx(float(np.linalg.norm(x - y)), rel=1e-5)  # noqa: E731
    assert by_video["a"] == [apart(a.seen[i], a.heard[i]) for i in (0, 2, 4)]
    assert by_video["a+voice_shift"] == [
        apart(a.seen[i], a.heard[i + 1]) for i in (0, 2)
    ]
    assert by_video["b+voice_shift"] == [
        apart(b.seen[i + 1], b.heard[i]) for i in (0, 2)
    ]
    assert by_video["c+voice_swap"][0] in [
        apart(tracks[2].seen[0], x.heard[0]) for x in (a, b)
    ]
    assert all(group in "abc" for group in videos.group)


def test_a_threshold_is_chosen_where_there_are_no_fakes(run_dir, tmp_path):
    data = drawn.data_set_dir(tmp_path / "data", {"validation": 6})
    done = run_program(
        "tfmds.select_threshold",
        f"--model={run_dir}",
        f"--data_dir={data}",
        "--mismatches",
        "--score=aligned",
        f"--output_dir={tmp_path / 'threshold'}",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    chosen = thresholds.read(tmp_path / "threshold" / thresholds.FILE)
    assert chosen.score == "aligned"
    scored = score_files.read_videos(
        tmp_path / "threshold" / "scores-validation" / score_files.VIDEOS_FILE
    )
    # Half of the videos are fakes, and left out.
    assert (
        sorted(scored.manipulation)
        == [""] * 3 + ["voice_shift"] * 3 + ["voice_swap"] * 3
    )


def test_a_voice_is_never_swapped_for_another_track_of_the_same_video():
    tracks = [track("a", 3, seed, number=seed) for seed in range(3)]
    videos, _ = mismatches.score_tracks(tracks)
    assert set(videos.manipulation) == {"", "voice_shift"}
