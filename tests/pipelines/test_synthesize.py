import dataclasses
import hashlib
import json

import av
import cv2
import numpy as np
import pytest

from pipelines.synthesis import articulation, clips, corpus, voice
from pipelines.synthesis.config import SynthesisConfig
from pipelines.synthesis.distractors import Distractors
from tests.conftest import assert_refused, run_program
from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.preprocessing.tracks import TrackReader

SETTINGS = SynthesisConfig(num_identities=4, seed=5, seconds=2.0, height=180)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    corpus.make(folder, SETTINGS, num_workers=2)
    return folder


@pytest.fixture(scope="module")
def metadata(made):
    return json.loads((made / corpus.METADATA).read_text())


def digests(folder):
    return {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()
    }


def pictures(path):
    with av.open(str(path)) as container:
        return np.stack(
            [f.to_ndarray(format="gray") for f in container.decode(video=0)]
        ).astype(np.float32)


def loudness(path):
    """Decibels every 10 ms."""
    with av.open(str(path)) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    blocks = sound[: len(sound) // 480 * 480].reshape(-1, 480)
    return 10 * np.log10(np.mean(blocks**2, axis=1) + 1e-6)


def correlation(a, b):
    n = min(len(a), len(b))
    return np.corrcoef(a[:n], b[:n])[0, 1]


def whole_fakes(metadata, kind):
    return [
        (name, entry["original"])
        for name, entry in metadata.items()
        if entry.get("manipulation") == kind and not entry["fake_periods"]
    ]


def test_every_clip_is_a_whole_video_with_sound(made, metadata):
    for name in metadata:
        with av.open(str(made / name)) as container:
            video, sound = container.streams.video[0], container.streams.audio[0]
            assert video.codec_context.name == "h264"
            assert sound.codec_context.name == "aac"
            assert sound.rate == 48_000
            seconds = float(video.duration * video.time_base)
            assert seconds >= SETTINGS.seconds
            assert abs(seconds - float(sound.duration * sound.time_base)) < 0.1


def test_metadata_is_that_of_dfdc_with_groups_and_periods(metadata):
    assert {e["label"] for e in metadata.values()} == {"REAL", "FAKE"}
    kinds = [e.get("manipulation") for e in metadata.values()]
    for kind in ("face_swap", "audio_swap", "lip_sync"):
        assert kinds.count(kind) == SETTINGS.num_identities
    assert kinds.count(None) == 2 * SETTINGS.num_identities
    partial = 0
    for entry in metadata.values():
        if entry["label"] == "REAL":
            continue
        original = metadata[entry["original"]]
        assert original["label"] == "REAL"
        assert original["identity"] == entry["identity"]
        for start, end in entry["fake_periods"]:
            partial += 1
            assert 0 <= start < end <= SETTINGS.seconds
            assert end - start >= 1.4
    assert partial == 3


def test_a_swapped_voice_leaves_the_picture_and_changes_the_sound(made, metadata):
    for fake, original in whole_fakes(metadata, "audio_swap"):
        seen, real = pictures(made / fake), pictures(made / original)
        assert np.abs(seen - real).mean() < 6
        heard = correlation(loudness(made / fake), loudness(made / original))
        assert heard < 0.5


@pytest.mark.parametrize("kind", ["lip_sync", "face_swap"])
def test_a_forged_picture_leaves_the_sound(made, metadata, kind):
    for fake, original in whole_fakes(metadata, kind):
        heard = correlation(loudness(made / fake), loudness(made / original))
        assert heard > 0.9
        difference = np.abs(pictures(made / fake) - pictures(made / original)).mean(0)
        # Something in the middle of the picture, nothing at its edges.
        assert difference.max() > 2 * np.percentile(difference, 25)


def test_a_partly_forged_clip_is_forged_there_only(made, metadata):
    name, entry = next(
        (n, e)
        for n, e in metadata.items()
        if e.get("fake_periods") and e["manipulation"] == "audio_swap"
    )
    fake, real = loudness(made / name), loudness(made / entry["original"])
    count = min(len(fake), len(real))
    times = np.arange(count) / 100
    ((start, end),) = entry["fake_periods"]
    inside = (times > start + 0.1) & (times < end - 0.1)
    outside = (times < start - 0.1) | (times > end + 0.1)
    assert correlation(fake[:count][inside], real[:count][inside]) < 0.6
    assert correlation(fake[:count][outside], real[:count][outside]) > 0.85


def test_the_bytes_of_a_clip_depend_on_its_settings_and_stopped_it_goes_on(
    made, tmp_path
):
    settings = dataclasses.replace(SETTINGS, num_identities=1)
    corpus.make(tmp_path, settings, num_workers=1)
    whole = digests(tmp_path)
    assert whole.items() - digests(made).items() <= {
        (n, whole[n]) for n in (corpus.METADATA, corpus.SETTINGS)
    }
    names = sorted(json.loads((tmp_path / corpus.METADATA).read_text()))
    kept = (tmp_path / names[0]).stat().st_mtime_ns
    (tmp_path / corpus.METADATA).unlink()
    (tmp_path / names[1]).rename(tmp_path / f".{names[1]}.partial")
    (tmp_path / f".{names[1]}.partial").write_bytes(b"half a clip")
    corpus.make(tmp_path, settings, num_workers=1)
    assert digests(tmp_path) == whole
    assert (tmp_path / names[0]).stat().st_mtime_ns == kept


def test_it_refuses_a_folder_that_is_not_its_own(made, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not empty"):
        corpus.make(tmp_path, SETTINGS)
    with pytest.raises(InputError, match="seed was 5, now is 6"):
        corpus.make(made, SynthesisConfig(**{**vars(SETTINGS), "seed": 6}))
    with pytest.raises(InputError, match="is a file"):
        corpus.make(tmp_path / "thesis.txt", SETTINGS)


def test_the_program_makes_a_data_set_and_refuses_without_a_traceback(tmp_path):
    words = ["pipelines.synthesize", f"--output_dir={tmp_path / 'demo'}"]
    words += ["--num_identities=1", "--reals_per_identity=1", "--seed=1"]
    words += ["--seconds=2", "--height=180", "--num_workers=1"]
    done = run_program(*words)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "demo" / "metadata.json").exists()
    done = run_program(*words, "--seed=2")
    assert_refused(done, "seed was 1, now is 2")


def seconds_of_speech(count):
    """Mouth and sound of one second each, 30 times."""
    openings, sounds = [], []
    for number in range(count):
        rng = np.random.default_rng([3, number])
        speech = articulation.speak(rng, 2.0)
        sound = voice.synthesize(voice.draw_voice(rng), speech, 2.0, rng)
        times = 0.5 + np.arange(30) / 30
        openings.append(speech.at("opening", times))
        blocks = [sound[int(t * 48_000) - 480 :][:960] for t in times]
        sounds.append(np.log(np.mean(np.square(blocks), axis=1) + 1e-4))
    return np.array(openings), np.array(sounds)


def test_mouth_and_sound_go_together_in_time_and_in_nothing_else():
    openings, sounds = seconds_of_speech(30)
    own = [correlation(a, b) for a, b in zip(openings, sounds, strict=True)]
    others = [
        correlation(a, b) for a, b in zip(openings, np.roll(sounds, 1, 0), strict=True)
    ]
    assert min(own) > 0.7 > max(np.percentile(others, 95), 0)
    # How far the mouth is open on the mean differs far less from second to second
    # than from frame to frame: the order in time is what counts.
    assert openings.mean(axis=1).std() < 0.2 * openings.std()


def test_a_voice_cannot_be_told_from_the_face():
    people = []
    for number in range(300):
        rng = np.random.default_rng([8, number])
        face = clips.draw_face(rng)
        people.append((np.mean(face.skin), face.cheek, voice.draw_voice(rng).pitch))
    related = np.corrcoef(np.array(people).T)
    assert np.abs(related[2, :2]).max() < 0.2


def test_distractors_fly_over_clips_whatever_their_label():
    settings = dataclasses.replace(SETTINGS, num_identities=200, distractors=0.3)
    planned = clips.plan(settings)
    for is_fake in (False, True):
        has = [c.has_distractors for c in planned if bool(c.manipulation) == is_fake]
        assert np.mean(has) == pytest.approx(0.3, abs=0.06)
    without = clips.plan(dataclasses.replace(settings, distractors=0.0))
    assert [c.name for c in planned] == [c.name for c in without]
    assert not any("distractors" in c.metadata() for c in without)


def test_below_distractors_a_clip_is_the_same_and_is_read(made, metadata, tmp_path):
    settings = dataclasses.replace(SETTINGS, distractors=1.0)
    clip = clips.plan(settings)[0]
    assert clip.metadata() == {**metadata[clip.name], "distractors": True}
    path = tmp_path / clip.name
    clips.make(settings, clip, path)
    # Where nothing flies, or before something does, only the encoder differs.
    np.testing.assert_array_equal(loudness(path), loudness(made / clip.name))
    there, here = pictures(made / clip.name), pictures(path)
    assert len(there) == len(here)
    assert (np.abs(there - here) > 40).any(axis=(1, 2)).mean() > 0.5
    assert np.median(np.abs(there - here)) < 4
    reader = TrackReader(path)
    assert list(reader)
    assert reader.summary.status == spec.OK


@pytest.mark.parametrize("whole", ["", "flip", "turn", "blur", "brightness", "rate"])
def test_distractors_keep_size_and_number_of_pictures(whole):
    picture = np.full((90, 160, 3), 100, np.uint8)
    picture[:, :80] = 160
    numbered = [cv2.add(picture, i) for i in range(12)]
    shown = next(
        d
        for seed in range(200)
        if (d := Distractors(np.random.default_rng(seed), (160, 90), 12))._whole
        == whole
    )
    seen = [shown.put_on(p, i) for i, p in enumerate(numbered)]
    assert {p.shape for p in seen} == {(*shown.size[::-1], 3)}
    # Most of the picture is none of what flies.
    medians = [np.median(p) for p in seen]
    left, right = (np.median(p) for p in np.array_split(seen[0], 2, axis=1))
    if whole == "rate":
        assert len(set(medians)) < 8
    elif whole == "brightness":
        assert max(left, right) < 150
    elif whole == "flip":
        assert (left, right) == (100, 160)
    elif whole in ("", "blur"):
        assert (left, right) == (160, 100)
