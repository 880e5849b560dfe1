import cv2
import numpy as np
import pytest

from tests import faces, media
from tfmds import spec
from tfmds.preprocessing import stills
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.tracks import TrackReader


def read(path, **options):
    reader = TrackReader(path, PreprocessingConfig(pictures=3, **options))
    return list(reader), reader.summary


def test_a_tight_still_is_kept_as_it_is(tmp_path):
    path = tmp_path / "x.jpg"
    path.write_bytes(faces.jpeg(faces.marked(60, 60, (5, 5, 50, 50))))
    (segment,), summary = read(path)
    assert (summary.status, summary.tracks, summary.chunks) == (spec.OK, 1, 1)
    assert (summary.media.width, summary.media.height) == (60, 60)
    face = stills.face(segment)
    assert face.jpeg == path.read_bytes()
    assert face.box == (0, 0, 1, 1)


def test_the_face_of_a_wide_still_is_looked_for(tmp_path):
    path = tmp_path / "x.png"
    cv2.imwrite(str(path), media.talking_head(320, 240)[:, :, ::-1])
    (segment,), summary = read(path, stills="wide")
    assert summary.status == spec.OK
    face = stills.face(segment)
    left, top, right, bottom = face.box
    # It fills some two thirds of what was cut out.
    assert right - left == pytest.approx(1 / 1.6, abs=0.15)
    assert (left + right) / 2 == pytest.approx(0.5, abs=0.1)
    assert 0 < top < bottom < 1


@pytest.mark.parametrize(
    ("content", "options", "status", "reason"),
    [
        (b"no picture", {}, spec.DECODE_ERROR, "no picture"),
        (b"", {}, spec.DECODE_ERROR, "no picture"),
        (
            faces.jpeg(faces.marked(90, 90, (5, 5, 9, 9)))[:300],
            {},
            spec.DECODE_ERROR,
            "",
        ),
        (faces.jpeg(faces.marked(20, 24, (5, 5, 9, 9))), {}, spec.NO_FACE, "24 pixels"),
        (
            faces.jpeg(np.full((200, 200, 3), 99, np.uint8)),
            {"stills": "wide"},
            spec.NO_FACE,
            "no face was found",
        ),
        (
            faces.jpeg(faces.marked(90, 90, (5, 5, 9, 9))),
            {"max_pixels": 1000},
            spec.OVER_LIMIT,
            "90 x 90 pixels are more than max_pixels",
        ),
    ],
)
def test_what_cannot_be_used_has_a_status(tmp_path, content, options, status, reason):
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    segments, summary = read(path, **options)
    assert not segments
    assert summary.status == status
    assert reason in summary.reason


def test_a_video_needs_no_sound_for_its_pictures(tmp_path):
    path = media.write_video(tmp_path / "v.mp4", [media.talking_head()] * 60)
    (segment,), summary = read(path)
    assert summary.status == spec.OK
    assert len(segment.frames) == 60
    assert TrackReader(path).summary.status != spec.OK
    assert not list(mute := TrackReader(path))
    assert mute.summary.status == spec.NO_AUDIO
