import json
import subprocess
import sys

import pytest

from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.data import data_set
from tfmds.data.manifest import Video

ROWS = [
    data_set.VideoRow(
        Video("a", "x/a.mp4", "fake", "train", "p", "face_swap", ((1.0, 2.5),),
              "picture"),
        spec.OK, "its sound ends 2.0 s before its picture", 1, 9, 9.967,
        data_set.MediaFacts(7, 640, 480, 29.97, "h264", "aac", 44100, 2, 0.0),
    ),
    data_set.VideoRow(
        Video("b", "x/b.mp4", "real", "test", "q"),
        spec.DECODE_ERROR, 'not a video, "really"', 0, 0, 0.0,
    ),
]  # fmt: skip


@pytest.fixture
def path(tmp_path):
    """A data set with one shard."""
    name = data_set.shard_name("demo", "train", 0, 1)
    info = {
        "format_version": spec.FORMAT_VERSION,
        "name": "demo",
        "chunk_spec": spec.ChunkSpec().to_json(),
        "splits": {"train": {"shards": [{"file": name, "records": 1}]}},
    }
    (tmp_path / data_set.INFO_FILE).write_text(json.dumps(info))
    (tmp_path / name).write_bytes(b"records")
    data_set.write_videos(tmp_path / data_set.VIDEOS_FILE, ROWS)
    return tmp_path


def change(path, **fields):
    file = path / data_set.INFO_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_reads_what_was_written(path):
    found = data_set.DataSet.load(path)
    assert (found.name, found.splits) == ("demo", ("train",))
    assert found.spec == spec.ChunkSpec()
    assert [p.name for p in found.shards("train")] == [
        "demo-train.tfrecord-00000-of-00001"
    ]
    assert found.videos() == ROWS


def test_a_directory_without_a_data_set_is_refused(tmp_path):
    with pytest.raises(InputError, match="no data set here"):
        data_set.DataSet.load(tmp_path)


def test_an_unfinished_data_set_says_how_to_finish_it(tmp_path):
    (tmp_path / data_set.WORK_DIR).mkdir()
    with pytest.raises(InputError, match="same preprocess command"):
        data_set.DataSet.load(tmp_path)


def test_another_format_is_refused(path):
    change(path, format_version=99)
    with pytest.raises(InputError, match=f"99.*{spec.FORMAT_VERSION}"):
        data_set.DataSet.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1: not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "not the description of a data set"),
        ("{}", "no format_version"),
        ('{"format_version": 1}', "lacks name, chunk_spec, splits"),
    ],
)
def test_a_damaged_description_is_refused(path, text, message):
    (path / data_set.INFO_FILE).write_text(text)
    with pytest.raises(InputError, match=f"tfmds.json.*{message}"):
        data_set.DataSet.load(path)


def test_a_missing_shard_is_named(path):
    found = data_set.DataSet.load(path)
    (path / "demo-train.tfrecord-00000-of-00001").unlink()
    with pytest.raises(InputError, match="demo-train.tfrecord-00000-of-00001"):
        found.shards("train")


def test_an_unknown_split_is_refused(path):
    with pytest.raises(InputError, match="validation"):
        data_set.DataSet.load(path).shards("validation")


def test_a_table_without_its_columns_is_refused(path):
    (path / data_set.VIDEOS_FILE).write_text("video_id,path\na,a.mp4\n")
    with pytest.raises(InputError, match="status"):
        data_set.DataSet.load(path).videos()


def test_a_table_from_before_the_media_columns_is_read(path):
    file = path / data_set.VIDEOS_FILE
    lines = [line.rsplit(",", 10)[0] for line in file.read_text().splitlines()]
    file.write_text("\n".join(lines) + "\n")
    first, _ = data_set.DataSet.load(path).videos()
    assert first.seconds == 9.967
    assert first.media == data_set.MediaFacts()


def test_a_table_from_before_forged_is_read(path):
    file = path / data_set.VIDEOS_FILE
    file.write_text(file.read_text().replace("fake_periods,forged", "fake_periods", 1))
    file.write_text(file.read_text().replace("1-2.5,picture", "1-2.5"))
    file.write_text(file.read_text().replace("test,q,,,,", "test,q,,,"))
    first, second = data_set.DataSet.load(path).videos()
    assert first.video.forged == second.video.forged == ""
    assert (first.status, second.status) == (spec.OK, spec.DECODE_ERROR)


def test_a_line_that_cannot_be_read_is_named(path):
    file = path / data_set.VIDEOS_FILE
    file.write_text(file.read_text().replace("9.967", "long"))
    with pytest.raises(InputError, match="line 2"):
        data_set.DataSet.load(path).videos()


def test_needs_no_tensorflow():
    code = "import sys, tfmds.data.data_set; print('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
