import numpy as np
import pytest

from tfmds.preprocessing import faces
from tfmds.preprocessing.config import PreprocessingConfig

OPTIONS = PreprocessingConfig()


def box(x, y=100.0, size=60.0):
    return np.array([x - size / 2, y - size / 2, x + size / 2, y + size / 2])


def follow(frames):
    """Tracks of `{frame: boxes}`, in the order they begin."""
    tracker = faces.Tracker(OPTIONS)
    tracks = []
    for frame, boxes in frames.items():
        if boxes == "cut":
            tracker.cut()
        else:
            tracks += tracker.update(frame, boxes)
    return tracks


def test_a_moving_face_is_one_track():
    tracks = follow({i: [box(100 + 3 * i)] for i in range(0, 60, 6)})
    assert len(tracks) == 1
    assert tracks[0].frames == list(range(0, 60, 6))


def test_people_side_by_side_keep_their_tracks():
    frames = {i: [box(100 + i), box(170 + i)][:: (-1) ** i] for i in range(20)}
    tracks = follow(frames)
    assert len(tracks) == 2
    for track in tracks:
        centres = [(b[0] + b[2]) / 2 for b in track.boxes]
        np.testing.assert_array_equal(np.diff(centres), 1)


@pytest.mark.parametrize(("missed", "expected"), [(40, 1), (41, 2)])
def test_a_gap_is_bridged_up_to_the_limit(missed, expected):
    tracks = follow({0: [box(100)], 1: [], missed + 1: [box(100)]})
    assert len(tracks) == expected


def test_a_cut_ends_all_tracks():
    tracks = follow({0: [box(100)], 5: "cut", 6: [box(100)]})
    assert [t.frames for t in tracks] == [[0], [6]]
    assert tracks[0].is_over


def test_a_face_elsewhere_is_another_track():
    assert len(follow({0: [box(100)], 6: [box(190)]})) == 2


def test_boxes_between_detections_are_interpolated():
    track = faces.Track(0, [10, 20], [box(100), box(200)])
    between = track.boxes_between(10, 21)
    np.testing.assert_allclose(between[5], box(150))
    assert between.shape == (11, 4)


def test_of_two_boxes_on_one_face_the_first_stays():
    kept = faces.without_doubles([box(100), box(105, size=40), box(200)])
    np.testing.assert_array_equal(kept, [box(100), box(200)])


def test_the_largest_and_longest_faces_go_on_where_there_are_too_many():
    tracker = faces.Tracker(PreprocessingConfig(max_tracks=2))
    old, small = box(100), box(300, size=50)
    for frame in range(0, 60, 6):
        tracker.update(frame, [old, small])
    assert (len(tracker.live), tracker.left_out) == (2, 0)
    # A little larger, and new: not instead of one that has been there for long.
    assert not tracker.update(60, [old, small, box(500, size=80)])
    assert (tracker.left_out, tracker.left_out_from) == (1, 60)
    (large,) = tracker.update(66, [old, small, box(700, size=140)])
    assert large in tracker.live
    ends = [track.frames[-1] for track in tracker.live]
    sizes = [faces.size_of(track.boxes[-1]) for track in tracker.live]
    assert (sizes, ends) == ([60, 140], [66, 66])
