import os
import pathlib
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from tests import media as make
from tfmds import spec
from tfmds.preprocessing import containers
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.containers import MediaError
from tfmds.preprocessing.media import Media

SPEC = spec.ChunkSpec()
DARK = np.full((64, 96, 3), 40, np.uint8)
BRIGHT = np.full((64, 96, 3), 230, np.uint8)
FLASH = 1.2


def flash_and_click(
    path, rate=25, sound_rate=48_000, sound_start=0.0, size=(96, 64), **options
):
    """A picture that is bright for 0.1 s, and a click when it becomes so."""
    dark, bright = (cv2.resize(picture, size) for picture in (DARK, BRIGHT))
    rate = Fraction(rate).limit_denominator(1001)
    times = [i / rate for i in range(round(2.5 * rate))]
    pictures = [bright if FLASH <= t < FLASH + 0.1 else dark for t in times]
    shown = float(next(t for t in times if t >= FLASH))
    sound = 0.02 * make.tone(2.5 - max(0, sound_start), sound_rate, 440)
    click = round((shown - sound_start) * sound_rate)
    sound[click : click + sound_rate // 200] += 0.8
    return make.write_video(
        path, pictures, rate, sound, sound_rate, sound_start=sound_start, **options
    )


def flash_seconds(media):
    light = [picture.luma(4).mean() for picture in media.pictures()]
    return int(np.argmax(np.array(light) > 130)) / SPEC.frame_rate


def click_seconds(media):
    samples = np.abs(media.sound.read(0, 3 * SPEC.sample_rate))
    return int(np.argmax(samples > 0.3)) / SPEC.sample_rate


@pytest.mark.parametrize("rate", [24, 25, 29.97, 30, 50, 60])
def test_flash_and_click_coincide_at_any_rate(tmp_path, rate):
    path = flash_and_click(tmp_path / "v.mp4", rate)
    with Media(path, SPEC) as media:
        assert flash_seconds(media) == pytest.approx(click_seconds(media), abs=1 / 59)


@pytest.mark.parametrize(
    ("name", "codec", "sound_codec", "sound_rate", "layout"),
    [
        ("v.mp4", "libx264", "aac", 44_100, "stereo"),
        ("v.mkv", "libx265", "ac3", 48_000, "5.1"),
        ("v.mov", "mpeg4", "pcm_s16le", 8_000, "mono"),
        ("v.avi", "mpeg4", "libmp3lame", 16_000, "mono"),
        ("v.mpg", "mpeg1video", "mp2", 44_100, "stereo"),
        ("v.webm", "libvpx-vp9", "libopus", 48_000, "stereo"),
        ("v.mkv", "libx264", "pcm_f32le", 96_000, "stereo"),
        ("v.mp4", "libx265", "aac", 96_000, "5.1"),
        ("v.mov", "libx264", "pcm_s16be", 22_050, "stereo"),
        ("v.avi", "libx264", "pcm_s16le", 8_000, "mono"),
        ("v.mpg", "mpeg2video", "ac3", 48_000, "5.1"),
        ("v.mkv", "libvpx-vp9", "libmp3lame", 32_000, "stereo"),
    ],
)
def test_flash_and_click_coincide_in_any_format(
    tmp_path, name, codec, sound_codec, sound_rate, layout
):
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = flash_and_click(
        tmp_path / name, 25, sound_rate,
        codec=codec, sound_codec=sound_codec, layout=layout, options=options,
    )  # fmt: skip
    with Media(path, SPEC) as media:
        assert flash_seconds(media) == pytest.approx(click_seconds(media), abs=1 / 59)


def test_flash_and_click_coincide_at_a_varying_rate(tmp_path):
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.01, 0.09, 60)).round(3)
    pictures = [BRIGHT if FLASH <= t < FLASH + 0.1 else DARK for t in times]
    sound = 0.02 * make.tone(3)
    shown = next(t for t in times if t >= FLASH)
    sound[round((shown - times[0]) * 48_000) :][:240] += 0.8
    path = make.write_video(
        tmp_path / "v.mkv", pictures, 30, sound, times=times - times[0],
        sound_codec="pcm_s16le",
    )  # fmt: skip
    with Media(path, SPEC) as media:
        assert flash_seconds(media) == pytest.approx(click_seconds(media), abs=1 / 59)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("v.mp4", "libx264", {"x264-params": "tff=1", "preset": "ultrafast"}),
        ("v.mpg", "mpeg2video", {"flags": "+ildct+ilme"}),
    ],
)
def test_flash_and_click_coincide_in_interlaced_pictures(
    tmp_path, name, codec, options
):
    path = flash_and_click(
        tmp_path / name, 25, codec=codec, options=options,
        sound_codec="aac" if name == "v.mp4" else "mp2",
    )  # fmt: skip
    with av.open(path) as container:
        assert next(container.decode(video=0)).interlaced_frame
    with Media(path, SPEC) as media:
        assert flash_seconds(media) == pytest.approx(click_seconds(media), abs=1 / 59)


def test_flash_and_click_coincide_in_4k(tmp_path):
    path = flash_and_click(
        tmp_path / "v.mp4", 10, size=(3840, 2160), options={"preset": "ultrafast"}
    )
    with Media(path, SPEC) as media:
        assert flash_seconds(media) == pytest.approx(click_seconds(media), abs=1 / 59)


@pytest.mark.parametrize("skipped", [80, 500])
def test_what_is_skipped_moves_picture_and_sound_alike(tmp_path, skipped):
    path = flash_and_click(tmp_path / "v.mp4", 30)
    with Media(
        path, SPEC, options=PreprocessingConfig(skip_leading_ms=skipped)
    ) as media:
        flash, click = flash_seconds(media), click_seconds(media)
    assert flash == pytest.approx(click, abs=1 / 59)
    assert click == pytest.approx(FLASH - skipped / 1000, abs=0.01)


@pytest.mark.parametrize("start", [-0.3, 0.4])
def test_sound_that_starts_at_another_time_stays_where_it_is(tmp_path, start):
    shift = {"picture_start": -start} if start < 0 else {"sound_start": start}
    path = flash_and_click(tmp_path / "v.mkv", 25, sound_codec="pcm_s16le", **shift)
    with Media(path, SPEC) as media:
        found = flash_seconds(media), click_seconds(media)
        heard = media.sound.read(0, SPEC.sample_rate)
    if start > 0:
        assert found[0] == pytest.approx(found[1], abs=1 / 59)
        assert not heard[: round(0.35 * SPEC.sample_rate)].any()
    else:
        # The click is that much earlier on the clock of the picture.
        assert found[0] + start == pytest.approx(found[1], abs=1 / 59)


def test_pictures_are_shown_as_long_as_their_time_stamps_say(tmp_path):
    greys = [np.full((64, 96, 3), g, np.uint8) for g in (40, 90, 140, 190)]
    path = make.write_video(
        tmp_path / "v.mkv", greys, 30, make.tone(2), times=[0, 0.5, 0.6, 1.5]
    )
    with Media(path, SPEC) as media:
        light = [picture.luma(4).mean() for picture in media.pictures()]
    changes = np.flatnonzero(np.abs(np.diff(light)) > 25) + 1
    np.testing.assert_array_equal(changes, [15, 18, 45])


def test_thirty_a_second_come_out_as_they_are(tmp_path):
    # Matroska rounds its time stamps to milliseconds.
    shades = [np.full((64, 96, 3), 40 + 40 * (i % 5), np.uint8) for i in range(60)]
    path = make.write_video(tmp_path / "v.mkv", shades, 30, make.tone(2))
    with Media(path, SPEC) as media:
        light = np.array([picture.luma(4).mean() for picture in media.pictures()])
    assert len(light) == 60
    assert (np.abs(np.diff(light)) > 20).all()


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_rotation_is_undone(tmp_path, rotation):
    upright = np.full((96, 64, 3), 60, np.uint8)
    upright[:30, :30] = make.RED
    turns = {90: 1, -90: -1, 180: 2}[rotation]
    stored = np.ascontiguousarray(np.rot90(upright, -turns))
    path = make.write_video(
        tmp_path / "v.mp4", [stored] * 20, 30, make.tone(1), rotation=rotation
    )
    with Media(path, SPEC) as media:
        picture = next(media.pictures())
    assert (picture.width, picture.height) == (64, 96)
    rgb = picture.scaled(1.0).astype(int)
    assert rgb[10, 10, 0] - rgb[10, 10, 1] > 100
    assert abs(rgb[-10, -10, 0] - rgb[-10, -10, 1]) < 20


def test_sound_is_read_in_pieces_as_in_one_go(tmp_path):
    path = flash_and_click(tmp_path / "v.mp4", sound_rate=44_100)
    with Media(path, SPEC) as media:
        whole = media.sound.read(0, 100_000)
    with Media(path, SPEC) as media:
        pieces = []
        for start in range(0, 100_000, 10_000):
            pieces.append(media.sound.read(start, start + 10_000))
            media.sound.forget(start + 10_000)
    np.testing.assert_array_equal(whole, np.concatenate(pieces))


def test_sound_that_ends_early_is_followed_by_silence(tmp_path):
    path = make.write_video(
        tmp_path / "v.mkv", [DARK] * 60, 30, make.tone(1), sound_codec="pcm_s16le"
    )
    with Media(path, SPEC) as media:
        samples = media.sound.read(0, 96_000)
        assert media.sound.end == 48_000
    assert np.abs(samples[47_000:48_000]).max() > 0.1
    assert not samples[48_000:].any()


@pytest.mark.parametrize("is_named", [True, False])
def test_sound_may_lie_beside_the_video(tmp_path, is_named):
    whole = flash_and_click(tmp_path / "whole.avi", codec="mpeg4", sound_codec="mp2")
    with av.open(whole) as container:
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    video = make.write_video(tmp_path / "v.avi", pictures, 25, codec="mpeg4")
    click = 0.02 * make.tone(2.5, 16_000)
    click[round(FLASH * 16_000) :][:80] += 0.8
    sound = make.write_video(
        tmp_path / "v.wav", [], 30, click, 16_000, codec="", sound_codec="pcm_s16le"
    )
    with Media(video, SPEC, sound_path=sound if is_named else None) as media:
        assert flash_seconds(media) == pytest.approx(click_seconds(media), abs=1 / 59)


def write_text(path):
    path.write_text("This is no video.\n")


def write_nothing(path):
    path.write_bytes(b"")


def write_playlist(path):
    listed = make.write_video(path.with_name("listed.ts"), [DARK] * 60)
    path.write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{listed}\n#EXT-X-ENDLIST\n"
    )


def write_folder(path):
    path.mkdir()


def write_sound_only(path):
    make.write_video(path, [], 30, make.tone(1), codec="")


def write_picture_only(path):
    make.write_video(path, [DARK] * 30)


def write_silence(path):
    make.write_video(path, [DARK] * 30, 30, np.zeros(48_000, np.float32))


def write_nowhere(path):
    pass


def write_half(path):
    whole = flash_and_click(path.with_name("whole.mp4"))
    data = pathlib.Path(whole).read_bytes()
    path.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("write", "status", "reason"),
    [
        (write_text, spec.DECODE_ERROR, "not a video"),
        (write_nothing, spec.DECODE_ERROR, "empty"),
        (write_playlist, spec.DECODE_ERROR, "not a video"),
        (write_folder, spec.DECODE_ERROR, "not a video"),
        (write_nowhere, spec.DECODE_ERROR, "no such file"),
        (write_sound_only, spec.DECODE_ERROR, "no picture"),
        (write_half, spec.DECODE_ERROR, "not a video"),
        (write_picture_only, spec.NO_AUDIO, "no sound"),
        (write_silence, spec.NO_AUDIO, "silent"),
    ],
)
def test_what_cannot_be_used_gets_a_status_and_a_reason(
    tmp_path, write, status, reason
):
    path = tmp_path / "v.mp4"
    write(path)
    with pytest.raises(MediaError) as error:
        Media(path, SPEC)
    assert error.value.status == status
    assert reason in error.value.reason


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"max_pixels": 6143}, "96 x 64 pixels, more than 6143"),
        ({"max_duration_seconds": 2}, "longer than 2 s"),
        ({"max_video_bytes": 1000}, "bytes, more than 1000"),
    ],
)
def test_what_is_too_large_is_not_decoded(tmp_path, monkeypatch, limit, reason):
    path = flash_and_click(tmp_path / "v.mp4")
    monkeypatch.setattr(containers, "decoded", None)
    with pytest.raises(MediaError, match=reason) as error:
        Media(path, SPEC, options=PreprocessingConfig(**limit))
    assert error.value.status == spec.OVER_LIMIT


def test_a_bomb_of_few_bytes_is_not_decoded(tmp_path):
    path = make.write_video(
        tmp_path / "v.mp4", [np.zeros((6400, 6400, 3), np.uint8)], 30, make.tone(1),
        options={"preset": "ultrafast"},
    )  # fmt: skip
    assert os.path.getsize(path) < 200_000
    with pytest.raises(MediaError, match="6400 x 6400 pixels"):
        Media(path, SPEC)


def test_a_length_that_the_file_does_not_state_is_limited_too(tmp_path):
    # A raw stream has no header that could state it.
    path = make.write_video(tmp_path / "v.h264", [DARK] * 90)
    make.write_video(
        tmp_path / "v.wav", [], 30, make.tone(1), codec="", sound_codec="pcm_s16le"
    )
    limit = PreprocessingConfig(max_duration_seconds=2)
    with Media(path, SPEC, options=limit) as media, pytest.raises(MediaError) as error:
        list(media.pictures())
    assert error.value.status == spec.OVER_LIMIT
    assert "longer than 2 s" in error.value.reason
