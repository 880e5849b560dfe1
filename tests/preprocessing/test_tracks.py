import pathlib
import types

import cv2
import numpy as np
import pytest

from tests import media as make
from tfmds import spec
from tfmds.preprocessing import tracks
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.mfcc import mfcc
from tfmds.preprocessing.tracks import TrackReader

SPEC = spec.ChunkSpec()


def pixels(jpeg):
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def read(path, **options):
    reader = TrackReader(path, PreprocessingConfig(**options))
    return list(reader), reader.summary


def empty(width=320, height=240):
    return np.full((height, width, 3), (120, 135, 150), np.uint8)


@pytest.fixture(scope="module")
def head():
    return make.talking_head()


def test_a_face_becomes_a_track_with_its_voice(tmp_path, head):
    sound = make.tone(4.5) + 0.01 * np.random.default_rng(0).normal(size=216_000)
    path = make.write_video(
        tmp_path / "v.mkv", [head] * 135, 30, sound.astype(np.float32),
        sound_codec="pcm_f32le",
    )  # fmt: skip
    (segment,), summary = read(path)
    assert summary.status == spec.OK
    assert (summary.tracks, summary.chunks) == (1, 4)
    assert summary.seconds == pytest.approx(4.5)
    assert (segment.track, segment.start_seconds) == (0, 0.0)
    assert len(segment.frames) == len(segment.boxes) == 135
    assert pixels(segment.frames[0]).shape == (224, 224, 3)
    expected = mfcc(sound[: 135 * 1600], SPEC, num_frames=449)
    assert segment.mfcc.shape == expected.shape
    np.testing.assert_allclose(segment.mfcc[:-1], expected[:-1], atol=1e-2)
    # The face of the test is 100 pixels high around the middle of the picture.
    x, y = segment.boxes[60].reshape(2, 2).mean(axis=0)
    assert x == pytest.approx(160, abs=8)
    assert y == pytest.approx(124, abs=12)


def test_the_mouth_is_below_the_middle_of_the_crop(tmp_path):
    closed, wide = make.talking_head(mouth=0), make.talking_head(mouth=1)
    path = make.write_video(tmp_path / "v.mp4", [closed, wide] * 30, 30, make.tone(2))
    (segment,), _ = read(path)
    moved = np.abs(
        pixels(segment.frames[30]).astype(int) - pixels(segment.frames[31])
    ).sum(axis=2)
    y, x = np.argwhere(moved > moved.max() / 2).mean(axis=0)
    assert x == pytest.approx(112, abs=12)
    assert 112 < y < 160


def test_long_tracks_are_cut_at_whole_seconds_without_a_seam(tmp_path, head):
    noise = 0.1 * np.random.default_rng(1).normal(size=5 * 48_000)
    path = make.write_video(
        tmp_path / "v.mkv", [head] * 150, 30, noise.astype(np.float32),
        sound_codec="pcm_f32le",
    )  # fmt: skip
    (whole,), _ = read(path)
    parts, summary = read(path, max_record_seconds=2)
    assert [part.start_seconds for part in parts] == [0, 2, 4]
    assert [len(part.frames) for part in parts] == [60, 60, 30]
    assert summary.chunks == 5
    assert [f for part in parts for f in part.frames] == list(whole.frames)
    for part in parts:
        first = round(part.start_seconds * 100)
        np.testing.assert_allclose(
            part.mfcc, whole.mfcc[first : first + len(part.mfcc)], atol=1e-4
        )


def test_flash_and_click_come_out_at_the_same_place(tmp_path):
    heads = [make.talking_head(mouth=float(i == 40)) for i in range(75)]
    sound = 0.01 * make.tone(3)
    sound[round(40 / 25 * 48_000) :][:1920] += 0.5
    path = make.write_video(tmp_path / "v.mp4", heads, 25, sound)
    (segment,), _ = read(path)
    still = pixels(segment.frames[10]).astype(int)
    seen = np.argmax([np.abs(pixels(f) - still).mean() for f in segment.frames])
    heard = np.argmax(segment.mfcc[:, 0])
    assert abs(seen / 30 - heard / 100) < 0.04


def test_two_people_are_two_tracks_that_stay_apart(tmp_path):
    def two(i):
        picture = empty(400)
        make.draw_face(picture, 110 + i / 2, 120, 100)
        return make.draw_face(picture, 290 - i / 2, 120, 100)

    path = make.write_video(
        tmp_path / "v.mp4", [two(i) for i in range(75)], 30, make.tone(2.5)
    )
    segments, summary = read(path)
    assert summary.tracks == 2
    for segment in segments:
        centres = segment.boxes[:, [0, 2]].mean(axis=1)
        assert np.abs(np.diff(centres)).max() < 6


def test_one_of_several_tracks_may_be_chosen(tmp_path):
    def picture(i):
        # The large face is there for the first two seconds and a half only.
        picture = make.draw_face(empty(400), 110, 120, 80)
        return make.draw_face(picture, 290, 120, 130) if i < 25 else picture

    path = make.write_video(
        tmp_path / "v.mp4", [picture(i) for i in range(40)], 10, make.tone(4)
    )
    seen = {}
    for choice in ("all", "largest", "longest"):
        segments, summary = read(path, tracks=choice)
        seen[choice] = [len(s.frames) // 30 for s in segments]
        assert (summary.tracks, summary.chunks) == (len(segments), sum(seen[choice]))
    assert sorted(seen["all"]) == [2, 4]
    assert (seen["largest"], seen["longest"]) == ([2], [4])


def test_of_more_faces_than_are_followed_the_largest_are(tmp_path):
    # A wall of 60 faces, four of which are larger.
    wall, large = empty(800, 600), {(1, 1), (4, 2), (8, 3), (6, 5)}
    for column, row in np.ndindex(10, 6):
        size = 76 if (column, row) in large else 58
        make.draw_face(wall, 40 + 80 * column, 50 + 100 * row, size)
    path = make.write_video(tmp_path / "v.mp4", [wall] * 60, 30, make.tone(2))
    segments, summary = read(path, max_tracks=4, min_face_size=40)
    assert (summary.status, summary.tracks, summary.chunks) == (spec.OK, 4, 8)
    centres = [s.boxes[30].reshape(2, 2).mean(axis=0) for s in segments]
    assert {(int(x // 80), int(y // 100)) for x, y in centres} == large
    assert "more faces are in view than are followed at a time (4" in summary.reason
    # Of the others some more are known of than are followed.
    assert "4 at least were not" in summary.reason


def test_a_face_that_is_one_too_many_costs_no_other(tmp_path):
    picture = make.draw_face(make.draw_face(empty(400), 110, 120, 100), 290, 120, 100)
    path = make.write_video(tmp_path / "v.mp4", [picture] * 60, 30, make.tone(2))
    both, summary = read(path, max_tracks=2)
    assert (len(both), summary.reason) == (2, "")
    (one,), summary = read(path, max_tracks=1)
    assert one.frames in [segment.frames for segment in both]
    assert "1 at least were not" in summary.reason


def test_what_is_skipped_stays_on_the_clock_of_the_video(tmp_path, head):
    path = make.write_video(tmp_path / "v.mp4", [head] * 90, 30, make.tone(3))
    (segment,), summary = read(path, skip_leading_ms=500)
    assert segment.start_seconds == pytest.approx(0.5)
    assert (len(segment.frames), summary.seconds) == (75, 2.5)


def test_a_track_does_not_go_across_a_cut(tmp_path, head):
    other = 255 - np.full((240, 320, 3), (120, 135, 150), np.uint8) // 3
    make.draw_face(other, 160, 120, 110)
    path = make.write_video(
        tmp_path / "v.mp4", [head] * 64 + [other] * 70, 30, make.tone(134 / 30)
    )
    segments, summary = read(path)
    assert [round(s.start_seconds * 30) for s in segments] == [0, 64]
    assert [len(s.frames) for s in segments] == [64, 70]
    assert summary.tracks == 2


@pytest.mark.parametrize(("hidden", "tracks"), [(30, 1), (55, 2)])
def test_a_hidden_face_is_bridged_or_ends_the_track(tmp_path, head, hidden, tracks):
    # The wall keeps its brightness, so that this is no cut.
    pictures = [head] * 60 + [empty()] * hidden + [head] * 60
    path = make.write_video(
        tmp_path / "v.mp4", pictures, 30, make.tone(len(pictures) / 30)
    )
    segments, summary = read(path)
    assert summary.tracks == tracks
    if tracks == 1:
        assert sum(len(s.frames) for s in segments) == len(pictures)
    else:
        assert summary.seconds_without_face == pytest.approx(hidden / 30, abs=0.15)


def test_a_face_that_comes_late_is_found_when_it_comes(tmp_path, head):
    path = make.write_video(
        tmp_path / "v.mp4", [empty()] * 40 + [head] * 70, 30, make.tone(4)
    )
    (segment,), _ = read(path)
    assert segment.start_seconds == pytest.approx(40 / 30, abs=0.1)


def test_a_turned_video_gives_the_same_crops(tmp_path):
    # The portrait is stored lying on its side.
    upright = make.talking_head(240, 320)
    lying = np.ascontiguousarray(np.rot90(upright))
    plain = make.write_video(tmp_path / "p.mp4", [upright] * 60, 30, make.tone(2))
    turned = make.write_video(
        tmp_path / "t.mp4", [lying] * 60, 30, make.tone(2), rotation=-90
    )
    (a,), _ = read(plain)
    (b,), _ = read(turned)
    difference = pixels(a.frames[20]).astype(int) - pixels(b.frames[20])
    assert np.abs(difference).mean() < 5


@pytest.mark.parametrize("size", [60, 75, 200])
def test_faces_from_the_least_size_on_are_found(tmp_path, size):
    path = make.write_video(
        tmp_path / "v.mp4", [make.talking_head(size=size)] * 60, 30, make.tone(2)
    )
    _, summary = read(path)
    assert summary.status == spec.OK


def test_no_second_takes_more_than_it_may(tmp_path):
    noise = np.random.default_rng(0).integers(0, 90, (240, 320, 3))
    pictures = [
        make.draw_face(noise.astype(np.uint8), 160, 120, 110) for _ in range(60)
    ]
    path = make.write_video(
        tmp_path / "v.mp4", pictures, 30, make.tone(2), options={"crf": "5"}
    )
    (segment,), _ = read(path, max_bytes_per_second=150_000)
    assert sum(map(len, segment.frames)) <= 2 * 150_000


def few_frames(path):
    return make.write_video(path, [make.talking_head()] * 40, 30, make.tone(1.4))


def one_frame(path):
    return make.write_video(path, [make.talking_head()], 30, make.tone(1))


def no_face(path):
    return make.write_video(path, [empty()] * 60, 30, make.tone(2))


def small_face(path):
    small = [make.talking_head(size=46)] * 60
    return make.write_video(path, small, 30, make.tone(2))


def short_face(path):
    pictures = [empty()] * 30 + [make.talking_head()] * 40 + [empty()] * 50
    return make.write_video(path, pictures, 30, make.tone(4))


def no_sound(path):
    return make.write_video(path, [make.talking_head()] * 60)


def text(path):
    path.write_text("no video")
    return path


@pytest.mark.parametrize(
    ("make_file", "status", "reason"),
    [
        (few_frames, spec.TOO_SHORT, "1.33 s"),
        (one_frame, spec.TOO_SHORT, "1.03 s"),
        (no_face, spec.NO_FACE, "no face"),
        (small_face, spec.NO_FACE, "pixels"),
        (short_face, spec.NO_FACE, "longer"),
        (no_sound, spec.NO_AUDIO, "no sound"),
        (text, spec.DECODE_ERROR, "not a video"),
    ],
)
def test_unusable_videos_yield_nothing_and_say_why(tmp_path, make_file, status, reason):
    segments, summary = read(make_file(tmp_path / "v.mp4"))
    assert segments == []
    assert (summary.status, summary.chunks) == (status, 0)
    assert reason in summary.reason


def test_what_comes_before_the_damage_is_used(tmp_path, head):
    whole = make.write_video(
        tmp_path / "whole.mkv", [head] * 240, 30, make.tone(8),
        options={"g": "15", "preset": "ultrafast", "crf": "10"},
        sound_codec="pcm_s16le",
    )  # fmt: skip
    data = pathlib.Path(whole).read_bytes()
    path = tmp_path / "v.mkv"
    path.write_bytes(data[: len(data) * 6 // 10])
    segments, summary = read(path)
    assert summary.status == spec.OK
    assert 2 <= summary.chunks < 8
    assert summary.reason


@pytest.mark.parametrize(
    ("num_bytes", "length"),
    # As of 720p, 1080p, 4K and 8K.
    [(1_400_000, 48), (3_200_000, 24), (12_500_000, 24), (50_000_000, 8)],
)
def test_a_batch_ends_where_a_search_is_due_unless_that_takes_too_much(
    num_bytes, length
):
    pictures = [(types.SimpleNamespace(num_bytes=lambda: num_bytes), False)] * 100
    found = list(tracks._batches(iter(pictures), PreprocessingConfig()))
    assert len(found[0]) == length
    assert sum(map(len, found)) == 100
