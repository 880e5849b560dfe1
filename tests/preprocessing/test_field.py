"""What cameras, downloads and broadcasts carry beside pictures and sound."""

import pathlib
import re
import types
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from av.sidedata.sidedata import Type

from tests import media as make
from tfmds import spec
from tfmds.preprocessing import facts, picture
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.containers import MediaError
from tfmds.preprocessing.media import Media
from tfmds.preprocessing.tracks import TrackReader

SPEC = spec.ChunkSpec()
DARK = np.full((64, 96, 3), 40, np.uint8)


def exif(orientation):
    """A segment of a JPEG that tells how it is turned."""
    tag = b"\x01\x12\0\x03\0\0\0\x01" + bytes([0, orientation, 0, 0])
    content = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + tag + b"\0\0\0\0"
    return b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content


def write_mjpeg(path, shown, orientation):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.height, stream.width = shown.shape[:2]
        stream.pix_fmt = "yuvj420p"
        sound = container.add_stream("pcm_s16le", rate=48_000)
        sound.layout = "mono"
        for packet in make._sound_packets(sound, make.tone(1), 48_000, 0):
            container.mux(packet)
        for i in range(30):
            frame = av.VideoFrame.from_ndarray(shown, "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 30)
            for packet in stream.encode(frame):
                data = bytes(packet)
                marked = av.Packet(data[:2] + exif(orientation) + data[2:])
                marked.pts, marked.dts = packet.pts, packet.dts
                marked.time_base, marked.stream = packet.time_base, stream
                container.mux(marked)
    return path


# Exif's 6 is to be turned clockwise, 3 by half a turn.
@pytest.mark.parametrize(
    ("orientation", "size", "corner"),
    [(1, (96, 64), (0, 0)), (3, (96, 64), (-1, -1)), (6, (64, 96), (0, -1))],
)
@pytest.mark.parametrize("name", ["v.avi", "v.mkv"])
def test_pictures_with_exif_are_read_and_turned(
    tmp_path, name, orientation, size, corner
):
    shown = DARK.copy()
    shown[:24, :24] = make.RED
    with Media(write_mjpeg(tmp_path / name, shown, orientation), SPEC) as media:
        pictures = list(media.pictures())
        assert (media.unread, media.is_damaged) == ((), False)
    assert len(pictures) == 30
    assert (pictures[0].width, pictures[0].height) == size
    rgb = pictures[0].scaled(1.0).astype(int)
    y, x = (4 if at == 0 else -5 for at in corner)
    assert rgb[y, x, 0] - rgb[y, x, 1] > 100


@pytest.mark.parametrize("number", [31, 77, 4096])
def test_side_data_of_any_number_hides_no_orientation(monkeypatch, number):
    monkeypatch.setattr(Type, "_missing_", classmethod(lambda cls, value: None))
    mirrored = np.array([-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30], np.int32)

    class Frame:
        """Lists what it carries as PyAV's do: by kind."""

        @property
        def side_data(self):
            carried = {number: b"", 0: b"", number + 1: b""}
            found = {Type(kind): data for kind, data in carried.items()}
            found |= {Type.DISPLAYMATRIX: mirrored.tobytes()}
            return types.SimpleNamespace(get=lambda name: found[Type[name]])

    with pytest.raises(ValueError, match="not a valid"):
        Type(number)
    found = picture.orientation_of(Frame())
    np.testing.assert_array_equal(found, [[-1, 0], [0, 1]])


def test_pictures_of_8k_are_scaled_down_and_boxes_are_those_of_the_file(
    tmp_path, monkeypatch
):
    # As if 4K were a quarter of what is stored.
    small = make.talking_head(640, 480, 220)
    path = make.write_video(tmp_path / "v.mp4", [small] * 60, 30, make.tone(2))
    whole = list(TrackReader(path, num_threads=1))
    monkeypatch.setattr(picture, "MOST_PIXELS", 320 * 240)
    monkeypatch.setattr("tfmds.preprocessing.media.MOST_PIXELS", 320 * 240)
    reader = TrackReader(path, num_threads=1)
    scaled = list(reader)
    assert "640 x 480 pixels are scaled down to 320 x 240" in reader.summary.reason
    (one,), (other,) = whole, scaled
    np.testing.assert_allclose(one.boxes, other.boxes, atol=12)
    assert (reader.summary.media.width, reader.summary.media.height) == (640, 480)


def test_the_limit_of_pixels_lets_8k_through():
    assert PreprocessingConfig().max_pixels >= 8192 * 4320
    assert picture.size_within(3840, 2160) == (3840, 2160)
    width, height = picture.size_within(7680, 4320)
    assert width * height <= picture.MOST_PIXELS < (width + 2) * (height + 2)
    assert width / height == pytest.approx(16 / 9, rel=1e-3)


def test_one_picture_stands_as_long_as_the_sound_goes_on(tmp_path):
    for name, times in (("v.mp4", None), ("v.mkv", [0.0])):
        path = make.write_video(tmp_path / name, [DARK], 25, make.tone(4), times=times)
        with Media(path, SPEC) as media:
            light = [p.luma(4).mean() for p in media.pictures()]
            assert (media.unread, media.is_damaged) == ((), False)
            assert any("still" in note for note in media.notes)
        assert len(light) == pytest.approx(120, abs=2)
        assert np.ptp(light) == 0
    # Of a picture that moves the end is the end.
    path = make.write_video(tmp_path / "w.mp4", [DARK] * 50, 25, make.tone(4))
    with Media(path, SPEC) as media:
        assert len(list(media.pictures())) == 60
        assert media.notes == []


def test_a_still_picture_is_limited_in_its_length_as_well(tmp_path):
    path = make.write_video(tmp_path / "v.mp4", [DARK], 25, make.tone(4))
    limit = PreprocessingConfig(max_duration_seconds=2)
    with Media(path, SPEC, options=limit) as media, pytest.raises(MediaError):
        list(media.pictures())


ENCRYPTED = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
    "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
}


def encrypt_mp4(path, name, **options):
    target = path.parent / name
    with (
        av.open(str(path)) as source,
        av.open(str(target), "w", options=ENCRYPTED | options) as container,
    ):
        streams = {
            s.index: container.add_stream_from_template(s) for s in source.streams
        }
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                container.mux(packet)
    return target


def scramble(path, name):
    """A transport stream whose packets are marked, and noise."""
    content = bytearray(path.read_bytes())
    noise = np.random.default_rng(0)
    for at in range(0, len(content), 188):
        if content[at + 1 : at + 3] in (b"\x41\0", b"\x01\0", b"\x41\1", b"\x01\1"):
            content[at + 3] |= 0x80
            start = at + 5 + content[at + 4] if content[at + 3] & 0x20 else at + 4
            length = at + 188 - start
            content[start : at + 188] = noise.integers(
                0, 256, length, np.uint8
            ).tobytes()
    target = path.parent / name
    target.write_bytes(content)
    return target


@pytest.mark.parametrize("kind", ["mp4", "fragmented", "ts", "vob", "wmv", "webm"])
def test_encrypted_files_are_called_so(tmp_path, kind):
    suffix = {"fragmented": "mp4"}.get(kind, kind)
    codec = {"vob": "mpeg2video", "wmv": "wmv2", "webm": "libvpx"}.get(kind, "libx264")
    sound = {"vob": "mp2", "wmv": "mp2", "webm": "libopus"}.get(kind, "aac")
    clear = pathlib.Path(
        make.write_video(
            tmp_path / f"v.{suffix}", [DARK] * 30, 30, make.tone(1), codec=codec,
            sound_codec=sound,
        )
    )  # fmt: skip
    with Media(clear, SPEC) as media:
        assert len(list(media.pictures())) == 30
    content = clear.read_bytes()
    path = tmp_path / f"locked.{suffix}"
    if kind in ("mp4", "fragmented"):
        flags = {"movflags": "frag_keyframe+empty_moov"} if kind == "fragmented" else {}
        path = encrypt_mp4(clear, path.name, **flags)
    elif kind == "ts":
        path = scramble(clear, path.name)
    elif kind == "vob":
        marked = re.compile(rb"\0\0\x01[\xbd\xc0-\xef]..[\x80-\xbf]", re.DOTALL)
        flagged = marked.sub(lambda m: m[0][:-1] + bytes([m[0][-1] | 0x10]), content)
        path.write_bytes(flagged)
    elif kind == "wmv":
        guid = bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e")
        placed = content[:30] + guid + (24).to_bytes(8, "little") + content[30:]
        path.write_bytes(placed)
    else:
        # ContentEncodings, an encoding of scope 1, type 1, with AES.
        encodings = bytes.fromhex("6d808f62408c 5031810150338101 5035 84 47e18105")
        at = content.index(b"\x1f\x43\xb6\x75")
        path.write_bytes(content[:at] + encodings + content[at:])
    with pytest.raises(MediaError, match="its picture is encrypted") as error:
        Media(path, SPEC)
    assert error.value.status == spec.DECODE_ERROR


def test_encrypted_sound_is_no_sound(tmp_path):
    path = make.write_video(tmp_path / "v.mp4", [DARK] * 30, 30, make.tone(1))
    content = pathlib.Path(path).read_bytes()
    pathlib.Path(path).write_bytes(content.replace(b"mp4a", b"enca", 1))
    with pytest.raises(MediaError, match="its sound is encrypted") as error:
        Media(path, SPEC)
    assert error.value.status == spec.NO_AUDIO


def test_sound_that_a_download_left_beside_is_named(tmp_path):
    for name in ("x [a].f137.mp4", "y.f137.mp4", "z.mp4"):
        make.write_video(tmp_path / name, [DARK] * 30)
    make.write_video(tmp_path / "x [a].f140.m4a", [], sound=make.tone(1), codec="")
    # It has a picture alone.
    make.write_video(tmp_path / "y.f136.mp4", [DARK] * 30)
    for name, is_found in (("x [a]", True), ("y", False)):
        with pytest.raises(MediaError, match="there is no sound in it") as error:
            Media(tmp_path / f"{name}.f137.mp4", SPEC)
        assert ("x [a].f140.m4a beside it" in error.value.reason) == is_found
    with pytest.raises(MediaError, match="there is no sound in it$"):
        Media(tmp_path / "z.mp4", SPEC)


def test_channels_in_an_order_of_their_own_are_heard(tmp_path):
    path = pathlib.Path(
        make.write_video(
            tmp_path / "v.mov", [DARK] * 60, 30, make.tone(2, frequency=1000),
            sound_codec="pcm_s16le", layout="5.1",
        )
    )  # fmt: skip
    content = path.read_bytes()
    at = content.index(b"chan") + 8
    for tag in (122, 123, 124):
        # As studios store them: L R Ls Rs C LFE, and others.
        order = ((tag << 16) | 6).to_bytes(4, "big")
        path.write_bytes(content[:at] + order + content[at + 4 :])
        with Media(path, SPEC) as media:
            assert len(list(media.pictures())) == 60
            heard = media.sound.read(4800, 91_200)
            assert (media.unread, media.is_damaged) == ((), False)
        crossings = np.count_nonzero(np.diff(heard > 0)) / 2 / 1.8
        assert crossings == pytest.approx(1000, abs=5)
        assert facts.read(path).channels == 6


def test_the_film_behind_a_photo_is_read(tmp_path):
    shown = [DARK] * 30 + [np.full_like(DARK, 230)] * 30
    film = make.write_video(tmp_path / "v.mp4", shown, 30, make.tone(2))
    for name, photo in (
        ("MVIMG.jpg", cv2.imencode(".jpg", np.full((400, 600, 3), 90, np.uint8))[1]),
        ("IMG.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500)),
    ):
        path = tmp_path / name
        path.write_bytes(bytes(photo) + pathlib.Path(film).read_bytes())
        with Media(path, SPEC) as media:
            light = np.array([p.luma(4).mean() for p in media.pictures()])
            assert (media.notes, media.unread) == ([], ())
        assert (light > 130).tolist() == [False] * 30 + [True] * 30


def test_a_piece_of_a_stream_without_its_header_is_called_so(tmp_path):
    path = tmp_path / "v.mp4"
    make.write_video(path, [DARK] * 30, 30, make.tone(1))
    content = path.read_bytes()
    path.write_bytes(b"\0\0\0\x18styp" + content[8:24] + b"\0\0\0\x10moof" + bytes(8))
    with pytest.raises(MediaError, match="piece of a stream .DASH, HLS."):
        Media(path, SPEC)


def test_tables_at_the_end_of_a_file_are_no_other_recording(tmp_path):
    path = make.write_video(
        tmp_path / "v.wtv", [DARK] * 60, 30, make.tone(2), codec="mpeg2video",
        sound_codec="mp2",
    )  # fmt: skip
    with Media(path, SPEC) as media:
        assert len(list(media.pictures())) == 60
        assert media.notes == []
