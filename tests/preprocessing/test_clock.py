"""Recordings that were joined, and stamps that jump: all is read, on one clock."""

import pathlib
from fractions import Fraction

import numpy as np
import pytest

from tests import media as make
from tfmds import spec
from tfmds.preprocessing.clock import Clock
from tfmds.preprocessing.media import Media

SPEC = spec.ChunkSpec()
DARK = np.full((64, 96, 3), 40, np.uint8)
BRIGHT = np.full((64, 96, 3), 230, np.uint8)
EVENTS = (0.6, 1.8)


def recording(path, seconds=2.4, **options):
    """Flashes at EVENTS, with clicks of 50 ms at the same times."""
    pictures = [
        BRIGHT if any(t <= i / 25 < t + 0.12 for t in EVENTS) else DARK
        for i in range(round(25 * seconds))
    ]
    sound = 0.01 * make.tone(seconds, frequency=440)
    for t in EVENTS:
        sound[round(t * 48_000) :][:2400] += 0.6 * make.tone(0.05, frequency=3000) * 4
    return make.write_video(path, pictures, 25, sound, **options)


def flashes_and_clicks(media):
    light = np.array([picture.luma(4).mean() for picture in media.pictures()])
    flashes = np.flatnonzero((light[1:] > 130) & (light[:-1] <= 130)) + 1
    loud = np.abs(media.sound.read(0, len(light) * 1600)) > 0.2
    at = np.flatnonzero(loud)
    clicks = at[np.diff(at, prepend=-10_000) > 4800]
    return flashes / SPEC.frame_rate, clicks / SPEC.sample_rate, len(light) / 30


@pytest.mark.parametrize(
    ("name", "codec", "sound_codec", "parts"),
    [
        ("v.ts", "libx264", "aac", 3),
        ("v.ts", "mpeg2video", "mp2", 2),
        ("v.m2ts", "libx264", "ac3", 2),
        ("v.mpg", "mpeg2video", "mp2", 3),
        ("v.vob", "mpeg2video", "ac3", 2),
        # Of a third part FFmpeg knows nothing.
        ("v.mkv", "libx264", "pcm_s16le", 2),
        ("v.webm", "libvpx", "libopus", 2),
        ("v.ogv", "libvpx", "libopus", 3),
        ("v.nut", "mpeg4", "mp2", 3),
    ],
)
def test_joined_recordings_are_read_to_their_end(
    tmp_path, name, codec, sound_codec, parts
):
    one = recording(tmp_path / name, codec=codec, sound_codec=sound_codec)
    path = tmp_path / f"joined_{name}"
    path.write_bytes(pathlib.Path(one).read_bytes() * parts)
    with Media(path, SPEC) as media:
        flashes, clicks, seconds = flashes_and_clicks(media)
        assert len(flashes) == len(clicks) == parts * len(EVENTS)
        np.testing.assert_allclose(flashes, clicks, atol=1 / 25)
        # Each part begins where the one before ends.
        for part in range(parts):
            expected = part * 2.4 + np.array(EVENTS)
            found = flashes[part * len(EVENTS) :][: len(EVENTS)]
            np.testing.assert_allclose(found, expected, atol=0.08 + 0.15 * part)
        assert seconds == pytest.approx(parts * 2.4, abs=0.15 * parts)
        told = [note for note in media.notes if "time stamps jump" in note]
        assert len(told) == parts - 1
        assert all("recordings are joined" in note for note in told)


def test_stamps_of_a_part_that_begin_later_than_the_one_before_ends_go_on_too(tmp_path):
    first = recording(tmp_path / "a.ts")
    later = recording(tmp_path / "b.ts", sound_start=5000.0, picture_start=5000.0)
    path = tmp_path / "v.ts"
    path.write_bytes(b"".join(pathlib.Path(p).read_bytes() for p in (first, later)))
    with Media(path, SPEC) as media:
        flashes, clicks, seconds = flashes_and_clicks(media)
        (note,) = media.notes
    assert len(flashes) == len(clicks) == 4
    np.testing.assert_allclose(flashes, clicks, atol=1 / 25)
    assert seconds == pytest.approx(4.8, abs=0.2)
    # A recorder's clock that was set does the same.
    assert "time stamps jump" in note
    assert "joined" not in note


@pytest.mark.parametrize(
    ("name", "codec", "sound_codec", "wraps_at"),
    [
        ("v.ts", "libx264", "aac", 2**33 / 90_000),
        ("v.m2ts", "libx264", "ac3", 2**33 / 90_000),
    ],
)
@pytest.mark.parametrize("before", [0.04, 1.3])
def test_stamps_that_wrap_go_on_as_those_that_do_not(
    tmp_path, name, codec, sound_codec, wraps_at, before
):
    codecs = {"codec": codec, "sound_codec": sound_codec}
    start = wraps_at - 1.4 - before
    paths = [
        recording(tmp_path / name, **codecs),
        recording(
            tmp_path / f"w{name}", picture_start=start, sound_start=start, **codecs
        ),
    ]
    found = []
    for path in paths:
        with Media(path, SPEC) as media:
            found.append(flashes_and_clicks(media))
            assert (media.notes, media.unread, media.is_damaged) == ([], (), False)
    for plain, wrapped in zip(*found, strict=True):
        np.testing.assert_allclose(plain, wrapped, atol=1e-3)


@pytest.mark.parametrize("bits", [24, 32])
def test_stamps_in_milliseconds_wrap_as_flv_stores_them(bits):
    period = 2**bits
    packets = [
        (at, i, (t + period - 2000) % period)
        for i in (0, 1)
        for at, _, t in even(0, 4000, i)
    ]
    found, clock = placed(packets)
    assert found[0] == found[1] == list(range(period - 2000, period + 2000, 40))
    assert clock.jumps == clock.gaps == []


def test_a_picture_that_is_shown_after_a_wrap_is_decoded_before_it():
    period = 2**24
    packets = [
        Packet(0, (t - 200) % period, pts=t % period)
        for t in range(period - 2000, period + 2000, 40)
    ]
    container = Container([(i, packet) for i, packet in enumerate(packets)])
    shown = [p.pts for p in Clock(container, [Stream(0)])]
    assert shown == list(range(period - 2000, period + 2000, 40))


@pytest.mark.parametrize(("name", "parts"), [("v.mp4", 2), ("v.flv", 2), ("v.mkv", 3)])
def test_what_ffmpeg_does_not_see_behind_a_recording_is_told_of(tmp_path, name, parts):
    one = recording(tmp_path / name)
    path = tmp_path / f"joined_{name}"
    path.write_bytes(pathlib.Path(one).read_bytes() * parts)
    for file, is_told in ((one, False), (path, True)):
        with Media(file, SPEC) as media:
            list(media.pictures())
            told = [note for note in media.notes if "of the file" in note]
            assert bool(told) == is_told


class Packet:
    """As one of PyAV, in milliseconds."""

    time_base = Fraction(1, 1000)
    size = 10
    pos = None

    def __init__(self, index, time, duration=40, pts=None):
        self.stream_index = index
        self.dts = time
        self.pts = time if pts is None else pts
        self.duration = duration


class Stream:
    time_base = Fraction(1, 1000)

    def __init__(self, index):
        self.index = index


class Container:
    def __init__(self, packets):
        self._packets = sorted(packets, key=lambda p: p[0])

    def demux(self, *_):
        return iter([packet for _, packet in self._packets])


def placed(packets, num_streams=2, **kwargs):
    """Stamps by stream of packets `(place in the file, stream, stamp)`."""
    container = Container([(at, Packet(i, t)) for at, i, t in packets])
    clock = Clock(container, [Stream(i) for i in range(num_streams)], **kwargs)
    found = {i: [] for i in range(num_streams)}
    for packet in clock:
        found[packet.stream_index].append(packet.dts)
    return found, clock


def even(start, stop, stream, base=0):
    return [(t, stream, t + base) for t in range(start, stop, 40)]


def test_small_steps_back_change_nothing():
    packets = [(t, 0, t - 200 * (t % 120 == 0)) for t in range(400, 4000, 40)]
    found, clock = placed([*packets, *even(400, 4000, 1)])
    assert found[0] == [t for _, _, t in packets]
    assert clock.jumps == clock.gaps == []


def test_a_stray_stamp_is_taken_out():
    packets = even(0, 4000, 0)
    for stray in (90_000_000, -5000):
        odd = [(at, s, stray if at == 2000 else t) for at, s, t in packets]
        found, clock = placed([*odd, *even(0, 4000, 1)])
        assert found[0] == [None if t == 2000 else t for _, _, t in packets]
        assert clock.jumps == []


def test_where_pyav_fails_at_the_end_the_packets_count():
    # As it does where a damaged transport stream gets more streams on its way.
    class Growing(Container):
        def demux(self, *streams):
            yield from super().demux(*streams)
            raise IndexError("list index out of range")

    packets = [(at, Packet(i, t)) for at, i, t in even(0, 4000, 0)]
    read = list(Clock(Growing(packets), [Stream(0)]))
    assert [packet.dts for packet in read] == list(range(0, 4000, 40))


def test_sound_that_ends_late_in_the_file_stays_in_its_part():
    # Sound of the first part follows after the first pictures of the second.
    pictures = [*even(0, 4000, 0), *even(4000, 8000, 0, -4000)]
    sound = [(at + 400, s, t) for at, s, t in even(0, 4000, 1)]
    sound += [(at + 400, s, t) for at, s, t in even(4000, 8000, 1, -4000)]
    found, clock = placed([*pictures, *sound])
    assert found[0] == found[1] == list(range(0, 8000, 40))
    assert clock.jumps == [(4.0, -4.0, True)]


def test_a_gap_in_which_sound_goes_on_is_none():
    pictures = [*even(0, 4000, 0), *even(200_000, 204_000, 0)]
    found, clock = placed([*pictures, *even(0, 204_000, 1)])
    assert found[0] == [t for _, _, t in pictures]
    assert clock.jumps == clock.gaps == []


def test_a_picture_stands_as_long_as_sound_beside_the_file_goes_on():
    pictures = [*even(0, 4000, 0), *even(200_000, 204_000, 0)]
    found, _ = placed(pictures, 1, heard_seconds=204.0)
    assert found[0] == [t for _, _, t in pictures]
    found, _ = placed(pictures, 1)
    assert found[0] == list(range(0, 8000, 40))


@pytest.mark.parametrize(("gap", "is_closed"), [(20_000, False), (200_000, True)])
def test_a_gap_in_all_is_told_of_or_closed(gap, is_closed):
    packets = [(at + s, s, t) for s in (0, 1) for at, _, t in even(0, 4000, s)]
    packets += [(at + s, s, at + gap) for s in (0, 1) for at, *_ in even(4000, 8000, s)]
    found, clock = placed(packets)
    shift = 0 if is_closed else gap
    assert found[0] == found[1]
    assert found[0][100:] == list(range(4000 + shift, 8000 + shift, 40))
    if is_closed:
        assert clock.jumps == [(4.0, 200.0, False)]
    else:
        assert clock.gaps == [(4.0, 24.0)]


def test_a_part_in_another_codec_is_told_of_by_its_seconds(tmp_path):
    first = recording(tmp_path / "a.ts")
    other = recording(tmp_path / "b.ts", codec="mpeg2video", sound_codec="mp2")
    path = tmp_path / "v.ts"
    path.write_bytes(b"".join(pathlib.Path(p).read_bytes() for p in (first, other)))
    with Media(path, SPEC, num_threads=1) as media:
        assert len(list(media.pictures())) == 72
        ((start, end, why),) = media.unread
    assert (start, end) == pytest.approx((2.4, 4.8), abs=0.1)
    assert "no picture can be decoded" in why


def test_a_short_recording_behind_a_long_one_is_told_of(tmp_path):
    frames = np.random.default_rng(2).integers(0, 255, (8, 240, 320, 3), np.uint8)
    long = make.write_video(
        tmp_path / "long.mp4", [f for f in frames for _ in range(9)], 30, make.tone(3)
    )
    short = make.write_video(tmp_path / "short.mp4", [DARK] * 30, 30, make.tone(1))
    path = tmp_path / "v.mp4"
    parts = [pathlib.Path(p).read_bytes() for p in (long, short)]
    path.write_bytes(b"".join(parts))
    assert len(parts[1]) < 0.05 * len(parts[0])
    with Media(path, SPEC) as media:
        list(media.pictures())
        assert any("another recording" in note for note in media.notes)


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
def test_a_picture_stands_for_minutes_while_sound_goes_on(tmp_path, name):
    # An index of much sound is long, where there are few pictures.
    times = [*(i / 25 for i in range(40)), *(150 + i / 25 for i in range(40))]
    shown = [DARK] * 40 + [BRIGHT] * 40
    path = make.write_video(
        tmp_path / name, shown, 25, make.tone(151.6, 8000), 8000, times=times
    )
    with Media(path, SPEC) as media:
        light = np.array([picture.luma(4).mean() for picture in media.pictures()])
        assert (media.notes, media.unread) == ([], ())
    assert np.flatnonzero(light > 130)[0] == pytest.approx(150 * 30, abs=2)
    assert len(light) == pytest.approx(151.6 * 30, abs=2)


@pytest.mark.parametrize("end", [2.0, 1.0])
def test_sound_that_ends_long_before_the_picture_is_told_of(tmp_path, end):
    path = make.write_video(
        tmp_path / "v.mkv", [DARK] * 75, 30, make.tone(end), sound_codec="pcm_s16le"
    )
    with Media(path, SPEC) as media:
        list(media.pictures())
        media.sound.read(0, 2 * 48_000 + 24_000)
        found = [(start, end) for start, end, _ in media.unread]
    assert found == ([(1.0, 2.5)] if end == 1.0 else [])
