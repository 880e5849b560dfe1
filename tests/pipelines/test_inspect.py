import dataclasses
import re

import pytest

from pipelines import audit
from tests import faces, tracks
from tests.conftest import run_program
from tfmds import spec
from tfmds.data import data_set, stored_faces
from tfmds.data.data_set import MediaFacts, VideoRow


def rows(count=40, **by_label):
    """Videos that differ by class only in what `by_label` says."""
    found = []
    for i in range(count):
        label = "fake" if i % 2 else "real"
        video = tracks.video(f"v{i}", label, manipulation="swap" if i % 2 else "")
        media = MediaFacts(
            bytes=100_000 + 1000 * (i // 2 % 10),
            width=1920,
            height=1080,
            frame_rate=29.97,
            video_codec="h264",
            audio_codec="aac",
            sample_rate=44100,
            channels=2,
            leading_silence=0.001 * (i // 2 % 5),
        )
        media = dataclasses.replace(media, **by_label.get(label, {}))
        found.append(VideoRow(video, spec.OK, "", 1, 10, 10.0, media))
    return found


def test_classes_that_differ_in_nothing_give_no_warning():
    found = audit.quantities(rows())
    assert not audit.warnings(found)
    assert {q.auc for q in found} == {0.5}


@pytest.mark.parametrize(
    ("fakes", "expected"),
    [
        ({"leading_silence": 0.028}, r"leading silence.*AUC 1.00 \(fake: more\)"),
        ({"bytes": 50_000}, r"file size.*AUC 1.00 \(fake: less\)"),
        ({"frame_rate": 25.0}, r"frame rate.*fake: less"),
        ({"width": 640}, r"picture width.*fake: less"),
        ({"sample_rate": 16_000}, r"sample rate.*fake: less"),
        ({"video_codec": "mpeg4"}, r"video codec.*fake: mostly mpeg4"),
    ],
)
def test_what_alone_tells_the_classes_apart_is_warned_of(fakes, expected):
    lines = audit.warnings(audit.quantities(rows(fake=fakes)))
    assert any(re.search(expected, line) for line in lines), lines


def test_the_warning_begins_above_an_auc_of_070():
    def with_silent_fakes(share):
        made = rows(40)
        for i in range(1, round(40 * share), 2):
            media = dataclasses.replace(made[i].media, channels=1)
            made[i] = dataclasses.replace(made[i], media=media)
        return {q.name: q for q in audit.quantities(made)}["sound channels"]

    assert with_silent_fakes(0.4).auc == pytest.approx(0.7)
    assert not with_silent_fakes(0.4).separates
    assert with_silent_fakes(0.5).separates


def test_what_is_not_known_is_left_out():
    made = rows(4, real=dataclasses.asdict(MediaFacts()))
    found = {q.name: q for q in audit.quantities(made)}
    assert found["leading silence (ms)"].real == "-"
    assert found["leading silence (ms)"].auc is None
    assert not audit.warnings([found["video codec"]])


def test_videos_are_counted_by_split_class_manipulation_and_status():
    made = rows(4)
    made[1] = dataclasses.replace(made[1], status=spec.NO_FACE, chunks=0)
    titles, real, fake = audit.counts(made)
    assert dict(zip(titles, fake, strict=True)) == {
        "split": "train", "class": "fake", "manipulation": "swap", "videos": "2",
        "ok": "1", "no_face": "1", "no_audio": "0", "too_short": "0",
        "decode_error": "0", "over_limit": "0", "chunks": "10", "hours": "0.01",
    }  # fmt: skip
    assert real[:5] == ["train", "real", "", "2", "2"]


@pytest.fixture
def path(tmp_path):
    path = tracks.data_set_dir(tmp_path / "data", {"train": 6, "test": 2})
    made = [
        dataclasses.replace(row, media=MediaFacts(bytes=10**6 if i % 2 else 10**5))
        for i, row in enumerate(data_set.read_videos(path / "videos.csv"))
    ]
    data_set.write_videos(path / "videos.csv", made)
    return path


def test_faces_of_both_classes_are_sampled(path):
    assert len(list(stored_faces.sample(path))) == 8
    sheets = audit.sample_faces(path, 3)
    assert {name: len(faces) for name, faces in sheets.items()} == {
        "real": 3,
        "fake": 3,
    }


def test_single_faces_are_sampled_too(tmp_path):
    made = faces.data_set_dir(tmp_path, {"train": 6, "test": 2})
    sheets = audit.sample_faces(made, 3)
    assert {name: len(found) for name, found in sheets.items()} == {
        "real": 3,
        "fake: checked": 3,
    }
    done = run_program("pipelines.inspect", f"--data_dir={made}", "--verify")
    assert done.returncode == 0, done.stderr
    assert "2 shards are as they were written" in done.stdout


def test_the_program_prints_tables_and_warnings_and_writes_faces(path):
    done = run_program("pipelines.inspect", f"--data_dir={path}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split()[:4] == [
        "split", "class", "manipulation", "videos",
    ]  # fmt: skip
    assert "warning: file size (kB) alone tells real from fake" in done.stderr
    page = (path / "audit.html").read_text()
    assert page.count("<img") == 8
    assert "file size (kB) alone" in page
    assert "<script" not in page
