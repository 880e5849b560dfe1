import numpy as np
import pytest

from tests import media as make
from tfmds.data.data_set import MediaFacts
from tfmds.preprocessing import facts


@pytest.mark.parametrize("silent", [0.0, 0.028, 1.0])
def test_silence_before_the_sound_is_measured(tmp_path, silent):
    sound = np.concatenate([np.zeros(round(silent * 48_000)), make.tone(1)])
    path = make.write_video(
        tmp_path / "x.mkv", [make.talking_head()] * 5, 25,
        sound.astype(np.float32), sound_codec="pcm_s16le", layout="stereo",
    )  # fmt: skip
    found = facts.read(path)
    assert found.leading_silence == pytest.approx(silent, abs=0.001)
    assert (found.frame_rate, found.audio_codec) == (25.0, "pcm_s16le")
    assert (found.sample_rate, found.channels) == (48_000, 2)


def test_sound_beside_the_video_is_told_of(tmp_path):
    path = make.write_video(tmp_path / "x.avi", [make.talking_head()] * 5)
    sound = make.write_video(
        tmp_path / "x.wav", [], sound=make.tone(1, 8000), sound_rate=8000,
        codec="", sound_codec="pcm_s16le",
    )  # fmt: skip
    assert facts.read(path).audio_codec == ""
    assert facts.read(path, sound).sample_rate == 8000


def test_what_is_no_media_file_tells_its_size_at_most(tmp_path):
    (tmp_path / "x.mp4").write_bytes(b"no video")
    assert facts.read(tmp_path / "x.mp4") == MediaFacts(bytes=8)
    assert facts.read(tmp_path / "nowhere.mp4") == MediaFacts()
