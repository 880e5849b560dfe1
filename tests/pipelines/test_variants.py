"""Copies of videos: still in step, and other recordings."""

import av
import numpy as np
import pytest

from pipelines import variants
from tests import media
from tests.conftest import assert_refused, run_program
from tfmds.data import manifest
from tfmds.data.manifest import Video

FLASHES = (1.0, 2.5, 4.0)
LENGTH = 0.2


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """5 s with three flashes, and tones at the same times."""
    path = tmp_path_factory.mktemp("variants") / "flash.mp4"
    lit = [any(f <= i / 30 + 1e-6 < f + LENGTH for f in FLASHES) for i in range(150)]
    pictures = [np.full((240, 320, 3), 230 if on else 30, np.uint8) for on in lit]
    time = np.arange(5 * 48_000) / 48_000
    loud = np.any([(f <= time) & (time < f + LENGTH) for f in FLASHES], axis=0)
    sound = 0.4 * np.sin(2 * np.pi * 1000 * time) * loud
    media.write_video(path, pictures, 30, sound.astype(np.float32))
    return path


def middles(path):
    """Middle of each flash and of each tone, in seconds."""
    shown, light, heard, level = [], [], [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            shown.append(frame.time)
            light.append(frame.to_ndarray(format="gray").mean())
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray().reshape(-1)
            heard.append(frame.time + np.arange(len(samples)) / frame.sample_rate)
            level.append(np.square(samples))
    shown, light = np.array(shown), np.array(light)
    heard, level = np.concatenate(heard), np.concatenate(level)
    lit = light > (light.max() + light.min()) / 2
    step = np.median(np.diff(shown))
    flashes, tones = [], []
    for flash in FLASHES:
        near = abs(shown - flash - LENGTH / 2) < 0.4
        flashes.append(shown[lit & near].mean() + step / 2)
        near = abs(heard - flash - LENGTH / 2) < 0.4
        tones.append(np.average(heard[near], weights=level[near]))
    return flashes, tones


@pytest.mark.parametrize("seed", range(6))
def test_a_copy_is_in_step(video, tmp_path, seed):
    variant = variants.draw(np.random.default_rng(seed), 240)
    variants.write(video, tmp_path / "copy.mkv", variant)
    flashes, tones = middles(tmp_path / "copy.mkv")
    expected = np.array(FLASHES) + LENGTH / 2
    # A picture may be half its time off; a room's echo makes a tone a little later.
    np.testing.assert_allclose(flashes, expected, atol=0.5 / variant.frame_rate + 2e-3)
    np.testing.assert_allclose(tones, expected, atol=0.02)


def test_copies_of_training_videos_join_the_manifest_and_are_made_once(video, tmp_path):
    source = tmp_path / "a.mp4"
    source.write_bytes(video.read_bytes())
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    rows = [
        Video("a", "a.mp4", "real", "train", "anna"),
        Video("b", "a.mp4", "real", "test", "bert"),
        Video("c", "broken.mp4", "real", "train", "cleo"),
    ]
    manifest.write_manifest(tmp_path / "m.csv", rows)
    words = [f"--manifest={tmp_path / 'm.csv'}", f"--output={tmp_path / 'varied.csv'}"]
    done = run_program("pipelines.vary", *words)
    assert done.returncode == 0, done.stderr
    assert "no copy of c" in done.stderr
    varied = manifest.read_manifest(tmp_path / "varied.csv")
    assert varied[:3] == rows
    assert [(v.video_id, v.split, v.group) for v in varied[3:]] == [
        ("a.1", "train", "anna"),
        ("a.2", "train", "anna"),
    ]
    copies = [manifest.resolve(tmp_path / "varied.csv", v) for v in varied[3:]]
    contents = [copy.read_bytes() for copy in copies]
    assert contents[0] != contents[1]
    again = run_program(
        "pipelines.vary",
        f"--manifest={tmp_path / 'varied.csv'}",
        f"--output={tmp_path / 'more.csv'}",
    )
    assert_refused(again, "has a video a.1 already")
    assert not (tmp_path / "more").exists()
    run_program("pipelines.vary", *words)
    assert [copy.read_bytes() for copy in copies] == contents
