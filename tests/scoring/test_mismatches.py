import dataclasses

import numpy as np
import pytest

from tests import tracks as drawn
from tests.conftest import run_program
from tests.evaluation.lag_samples import embeddings
from tfmds.data.data_set import VideoRow
from tfmds.evaluation import score_files, thresholds
from tfmds.scoring import mismatches
from tfmds.scoring.lag_scores import Spoken
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


def spoken(seconds: float, seed: int) -> Spoken:
    """A talker whose mouth and voice are the same noise, in records of 10 s."""
    starts, unit = embeddings(seconds, seed)
    mouths = [
        (starts[first:stop:5], unit[first:stop:5])
        for first, stop in ((0, 226), (250, 250 + 226), (500, 500 + 226))
        if first < len(starts)
    ]
    return Spoken(mouths, starts, unit)


def test_fakes_of_the_stretch_score_are_forged_in_parts():
    tracks = [track("a", 23, 1), track("b", 23, 2)]
    of_each = {("a", 0): spoken(12, 1), ("b", 0): spoken(12, 2)}
    videos, chunks = mismatches.score_tracks(tracks, spoken=of_each, by_parts=True)
    kinds = {
        "": (),
        "voice_swap": (),
        "voice_part_last_two_thirds": ((4.0, 12.0),),
        "voice_part_last_third": ((8.0, 12.0),),
        "voice_part_middle_3_s": ((4.5, 7.5),),
    }
    for kind, periods in zip(videos.manipulation, videos.fake_periods, strict=True):
        assert np.allclose(periods, kinds[kind])
    assert set(videos.manipulation) == set(kinds)
    a = videos.video_id.tolist().index("a+voice_part_last_third")
    mine = chunks.select(chunks.video_id == videos.video_id[a])
    assert mine.label.tolist() == [1] * 8 + [0] * 4
    # Where the voice is another's it fits no mouth.
    assert mine.misfit[8:].mean() > 3 * mine.misfit[:8].mean()
    stretches = videos.scores["stretches"]
    own = stretches[videos.manipulation == ""]
    forged = stretches[videos.label == 0]
    assert max(own) < min(forged)


def test_a_part_of_a_voice_is_anothers():
    mine, other = spoken(12, 1), spoken(12, 2)
    found = mine.spliced(other, 4.0, 8.0)
    middle = found.voice_seconds + 0.5
    inside = (middle >= 4) & (middle < 8)
    np.testing.assert_array_equal(found.voice_seconds, mine.voice_seconds)
    np.testing.assert_array_equal(found.voice[inside], other.voice[inside])
    np.testing.assert_array_equal(found.voice[~inside], mine.voice[~inside])


def test_a_voice_is_never_swapped_for_another_track_of_the_same_video():
    tracks = [track("a", 3, seed, number=seed) for seed in range(3)]
    videos, _ = mismatches.score_tracks(tracks)
    assert set(videos.manipulation) == {"", "voice_shift"}
