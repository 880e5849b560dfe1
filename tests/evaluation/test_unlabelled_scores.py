"""The results.csv of tfmds.detect goes to evaluation as it is."""

import csv

import numpy as np
import pytest

from tfmds.common.errors import InputError
from tfmds.detection import results
from tfmds.evaluation import score_files, unlabelled_scores
from tfmds.evaluation.thresholds import Threshold
from tfmds.judgement.judgement import VideoJudgement
from tfmds.judgement.seen import JudgedChunk

DISTANCES = {"clips/real/a.mp4": (0.1, 0.3), "clips/fake/b.mp4": (0.8, 0.9, 1.0)}


@pytest.fixture
def table(tmp_path):
    run = results.Results(str(tmp_path), {"model_id": "m"})
    for path, distances in {**DISTANCES, "clips/fake/c.mp4": ()}.items():
        chunks = (JudgedChunk(0, float(t), d) for t, d in enumerate(distances))
        status = "ok" if distances else "no_face"
        judged = VideoJudgement(
            path, status, Threshold(0.5), chunks=tuple(chunks), seconds_total=4.5
        )
        run.add(judged)
    written = run.write_table()
    run._file.close()
    return written


@pytest.mark.parametrize(
    "labels",
    [
        "video,label\na,real\nb,fake\nc,fake\nd,fake\n",
        "path,label\nreal/a.mp4,real\nfake/b.mp4,fake\nfake/c.mp4,fake\nd,fake\n",
        "video_id,path,label,split,group,manipulation\n1,a.mp4,real,test,x,\n"
        "2,b.mp4,fake,test,x,dub\n3,c.mp4,fake,test,y,dub\n4,d,fake,test,y,\n",
    ],
)
def test_labels_are_found_by_path_file_or_stem(table, tmp_path, labels):
    (tmp_path / "labels.csv").write_text(labels)
    videos, chunks, notes = score_files.read(table, tmp_path / "labels.csv")
    assert videos.status.tolist() == ["ok", "ok", "no_face", "no_score"]
    expected = [np.mean(d) for d in DISTANCES.values()]
    assert videos.mds[:2] == pytest.approx(expected)
    assert np.isnan(videos.mds[2:]).all()
    assert videos.label.tolist() == [1, 0, 0, 0]
    assert videos.chunks.tolist() == [2, 3, 0, 0]
    assert videos.seconds[:3].tolist() == [4.5] * 3
    assert set(videos.split) == {"test"}
    assert chunks is None
    assert "3 videos were found by their names without folder or ending" in notes[0]


def test_it_tells_by_what_its_videos_were_judged(table, tmp_path):
    threshold = unlabelled_scores.threshold_of(table)
    assert (threshold.value, threshold.score) == (0.5, "mds")
    (tmp_path / "other.csv").write_text("video,score\na,1\n")
    assert unlabelled_scores.threshold_of(tmp_path / "other.csv") is None


def test_videos_that_were_judged_by_several_thresholds_have_none(table, tmp_path):
    with open(table) as f:
        rows = list(csv.DictReader(f))
    rows[0]["threshold"] = "0.6"
    with open(table, "w") as f:
        writer = csv.DictWriter(f, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert unlabelled_scores.threshold_of(table) is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("no_face", "lost", "line 4: status is 'lost'"),
        ("4.5", "long", "line 2: seconds_total is 'long'"),
        ("clips/fake/b.mp4", "clips/real/a.mp4", "line 3: .*already"),
    ],
)
def test_a_table_that_was_altered_is_refused(table, tmp_path, old, new, message):
    with open(table) as f:
        text = f.read()
    with open(table, "w") as f:
        f.write(text.replace(old, new))
    (tmp_path / "labels.csv").write_text("video,label\na,real\nb,fake\n")
    with pytest.raises(InputError, match=message):
        score_files.read(table, tmp_path / "labels.csv")


def test_labels_without_names_are_refused(table, tmp_path):
    (tmp_path / "labels.csv").write_text("name,label\na,real\n")
    with pytest.raises(InputError, match="lacks the columns video_id"):
        score_files.read(table, tmp_path / "labels.csv")
