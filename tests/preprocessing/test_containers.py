"""Which streams of a file are read, and what is said where one cannot be."""

import pathlib
from fractions import Fraction

import av
import numpy as np
import pytest

from tests import media as make
from tfmds import spec
from tfmds.preprocessing import facts
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.containers import MediaError
from tfmds.preprocessing.media import Media

SPEC = spec.ChunkSpec()
DEFAULT = av.stream.Disposition.default
DARK, BRIGHT = (np.full((64, 96, 3), value, np.uint8) for value in (40, 230))


def write_tracks(path, pictures=(), sounds=()):
    """A file of tracks, `(disposition, pictures)` and `(disposition, sound)` each."""
    with av.open(str(path), "w") as container:
        tracks = []
        for disposition, given in pictures:
            is_cover = disposition == av.stream.Disposition.attached_pic
            stream = container.add_stream("png" if is_cover else "libx264", rate=30)
            stream.height, stream.width = given[0].shape[:2]
            stream.pix_fmt = "rgb24" if is_cover else "yuv420p"
            stream.disposition = disposition
            tracks.append((stream, given))
        for disposition, given in sounds:
            stream = container.add_stream("flac", rate=48_000)
            stream.layout, stream.disposition = "mono", disposition
            tracks.append((stream, given))
        for stream, given in tracks:
            if stream.type == "audio":
                for packet in make._sound_packets(stream, given, 48_000, 0):
                    container.mux(packet)
                continue
            for i, picture in enumerate(given):
                frame = av.VideoFrame.from_ndarray(picture, "rgb24")
                frame.pts, frame.time_base = i, Fraction(1, 30)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def seen_and_heard(path, **options):
    with Media(path, SPEC, options=PreprocessingConfig(**options)) as media:
        light = [picture.luma(4).mean() for picture in media.pictures()]
        sound = media.sound.read(0, 1600 * len(light))
        inner = sound[4800:-4800]
        hertz = np.count_nonzero(np.diff(inner > 0)) / 2 / (len(inner) / 48_000)
        return np.mean(light), hertz, media.notes


def test_the_default_tracks_are_read_and_others_where_they_are_chosen(tmp_path):
    path = write_tracks(
        tmp_path / "v.mkv",
        [(0, [DARK] * 60), (DEFAULT, [BRIGHT] * 60)],
        [(0, make.tone(2, frequency=300)), (DEFAULT, make.tone(2, frequency=1000))],
    )
    light, hertz, notes = seen_and_heard(path)
    assert light > 180
    assert hertz == pytest.approx(1000, abs=5)
    assert [note.split(" (")[0] for note in notes] == [
        "of its 2 picture tracks number 2 is read",
        "of its 2 sound tracks number 2 is read",
    ]
    light, hertz, _ = seen_and_heard(path, picture_track=1, sound_track=1)
    assert light < 80
    assert hertz == pytest.approx(300, abs=5)
    with pytest.raises(MediaError, match="no sound track 3 in it .*it has 2"):
        seen_and_heard(path, sound_track=3)


def test_a_silent_track_and_a_commentary_are_passed_over(tmp_path):
    comment = av.stream.Disposition.comment
    path = write_tracks(
        tmp_path / "v.mkv",
        [(DEFAULT, [DARK] * 60)],
        [
            (DEFAULT, np.zeros(96_000, np.float32)),
            (comment, make.tone(2, frequency=300)),
            (0, make.tone(2, frequency=1000)),
        ],
    )
    _, hertz, notes = seen_and_heard(path)
    assert hertz == pytest.approx(1000, abs=5)
    assert "number 3 is read" in notes[0]


def test_a_preview_and_a_cover_before_the_picture_are_passed_over(tmp_path):
    cover = av.stream.Disposition.attached_pic
    path = write_tracks(
        tmp_path / "v.mkv",
        [(0, [DARK]), (0, [BRIGHT] * 60)],
        [(DEFAULT, make.tone(2))],
    )
    assert seen_and_heard(path)[0] > 180
    path = write_tracks(
        tmp_path / "v.mp4",
        [(cover, [DARK]), (0, [BRIGHT] * 60)],
        [(DEFAULT, make.tone(2))],
    )
    light, _, notes = seen_and_heard(path)
    assert light > 180
    assert notes == []


def test_packets_without_content_are_the_picture_before_once_more(tmp_path):
    with av.open(str(tmp_path / "v.nut"), "w") as container:
        picture = container.add_stream("mpeg4", rate=30)
        picture.width, picture.height, picture.pix_fmt = 96, 64, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=48_000)
        sound.layout = "mono"
        for packet in make._sound_packets(sound, make.tone(2), 48_000, 0):
            container.mux(packet)
        for i in range(60):
            if 20 <= i < 40 or i >= 50:
                packet = av.Packet(0)
                packet.pts = packet.dts = i
                packet.time_base, packet.stream = Fraction(1, 30), picture
                container.mux(packet)
                continue
            frame = av.VideoFrame.from_ndarray(DARK if i < 20 else BRIGHT, "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 30)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
    with av.open(str(tmp_path / "v.nut")) as container:
        empty = [
            p for p in container.demux(video=0) if p.pts is not None and not p.size
        ]
    assert len(empty) == 30
    with Media(tmp_path / "v.nut", SPEC) as media:
        light = np.array([picture.luma(4).mean() for picture in media.pictures()])
        assert (len(light), media.is_damaged, media.unread) == (60, False, ())
    assert (light > 130).tolist() == [False] * 40 + [True] * 20


def with_codec(path, known, unknown):
    """A file in which FFmpeg does not know a codec by its tag."""
    content = pathlib.Path(path).read_bytes()
    assert known in content
    pathlib.Path(path).write_bytes(content.replace(known, unknown))
    return path


def test_a_codec_that_ffmpeg_does_not_know_is_named(tmp_path):
    path = make.write_video(tmp_path / "v.mp4", [DARK] * 30, 30, make.tone(1))
    with_codec(path, b"avc1", b"zz9y")
    with pytest.raises(MediaError, match="picture .stream 0. .*zz9y") as error:
        Media(path, SPEC)
    assert error.value.status == spec.DECODE_ERROR
    assert facts.read(path).video_codec == ""

    path = make.write_video(tmp_path / "w.mp4", [DARK] * 30, 30, make.tone(1))
    with_codec(path, b"mp4a", b"zz9y")
    with_codec(path, b"esds", b"zz9z")
    with pytest.raises(MediaError, match="sound .stream 1. .*zz9y") as error:
        Media(path, SPEC)
    assert error.value.status == spec.NO_AUDIO
    found = facts.read(path)
    assert (found.video_codec, found.audio_codec) == ("h264", "")


# Of a display matrix: what becomes of (1, 0) and of (0, 1), and where that brings the
# upper corners of what is stored.
ORIENTATIONS = {
    "none": ((1, 0, 0, 1), "upper left", "upper right"),
    "mirrored": ((-1, 0, 0, 1), "upper right", "upper left"),
    "upside down": ((1, 0, 0, -1), "lower left", "lower right"),
    "half a turn": ((-1, 0, 0, -1), "lower right", "lower left"),
    "clockwise": ((0, 1, -1, 0), "upper right", "lower right"),
    "counterclockwise": ((0, -1, 1, 0), "lower left", "upper left"),
    "transposed": ((0, 1, 1, 0), "upper left", "lower left"),
    "antitransposed": ((0, -1, -1, 0), "lower right", "upper right"),
    "none, as degenerate": ((1, 0, 1, 0), "upper left", "upper right"),
    "none, as aslant": ((0.8, 0.6, -0.6, 0.8), "upper left", "upper right"),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_pictures_are_turned_and_flipped_as_players_do(tmp_path, codec, orientation):
    (a, b, c, d), red, green = ORIENTATIONS[orientation]
    stored = np.full((64, 96, 3), 60, np.uint8)
    stored[:24, :24] = make.RED
    stored[:24, -24:] = (30, 200, 30)
    path = tmp_path / "v.mp4"
    make.write_video(path, [stored] * 30, 30, make.tone(1), codec=codec)
    matrix = [np.array(m, ">i4") for m in ([1, 0, 0, 0, 1, 0, 0, 0, 16384],) * 2]
    for m, values in zip(matrix, ((1, 0, 0, 1), (a, b, c, d)), strict=True):
        m[[0, 1, 3, 4]] = np.round(np.array(values) * 65536)
        m[8] = 1 << 30
    content = path.read_bytes()
    # Of the movie, and of each track; the picture's is the first of these.
    at = content.index(matrix[0].tobytes(), content.index(b"tkhd"))
    path.write_bytes(content[:at] + matrix[1].tobytes() + content[at + 36 :])
    with Media(path, SPEC) as media:
        rgb = next(media.pictures()).scaled(1.0).astype(int)
    assert rgb.shape[:2] == ((96, 64) if a == d == 0 else (64, 96))
    places = {
        f"{v} {h}": rgb[y, x]
        for v, y in (("upper", 8), ("lower", -8))
        for h, x in (("left", 8), ("right", -8))
    }
    for color, place in ((0, red), (1, green)):
        assert places[place][color] - places[place][1 - color] > 100
    assert sum(np.ptp(p) > 100 for p in places.values()) == 2


@pytest.mark.parametrize(
    ("name", "codec", "sound_codec"),
    [
        ("v.mp4", "libx264", "aac"),
        ("v.ts", "libx264", "aac"),
        ("v.avi", "mpeg4", "mp2"),
        ("v.mov", "mpeg4", "pcm_s16le"),
        ("v.mkv", "mpeg4", "flac"),
    ],
)
@pytest.mark.parametrize(("aspect", "width"), [("64/45", 1024), ("9/10", 648)])
def test_pixels_are_squared(tmp_path, name, codec, sound_codec, aspect, width):
    def set_aspect(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(aspect)

    stored = np.full((72, 720, 3), 60, np.uint8)
    path = make.write_video(
        tmp_path / name, [stored] * 20, 25, make.tone(0.8), codec=codec,
        sound_codec=sound_codec, prepare=set_aspect,
    )  # fmt: skip
    with Media(path, SPEC) as media:
        picture = next(media.pictures())
        assert (picture.width, picture.height) == (width, 72)
        assert picture.scaled(1.0).shape == (72, width, 3)
