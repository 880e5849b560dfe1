import contextlib
import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile

import distributed
import numpy as np
import pytest
import tensorflow as tf
from etils import epath

from pipelines import record_files, shards
from tests import faces
from tests import media as make
from tests.conftest import assert_refused, run_program
from tests.faults import faulty  # noqa: F401
from tfmds import spec
from tfmds.common import files
from tfmds.common.errors import InputError
from tfmds.data import data_set, face_records, manifest
from tfmds.data.records import TrackSegment
from tfmds.preprocessing import processes
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.tracks import Summary

# One worker in this process: the tests do not wait for others to start.
HERE = ["--direct_num_workers=1", "--direct_running_mode=in_memory"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A manifest of short videos, the last of which are no use."""
    folder = tmp_path_factory.mktemp("videos")
    head = make.talking_head()
    for i in range(4):
        make.write_video(
            folder / f"v{i}.mp4", [head] * (60 + 30 * i), 30, make.tone(2 + i)
        )
    with zipfile.ZipFile(folder / "part.zip", "w") as packed:
        packed.write(folder / "v2.mp4", "below/v2.mp4")
    (folder / "text.mp4").write_text("no video")
    make.write_video(folder / "mute.mp4", [head] * 60)
    rows = [
        manifest.Video("v0", "v0.mp4", "real", "train", "a"),
        manifest.Video("v1", "v1.mp4", "fake", "train", "a", "x", ((0.0, 1.5),)),
        manifest.Video("v2", "part.zip/below/v2.mp4", "real", "validation", "b"),
        manifest.Video("v3", "v3.mp4", "fake", "test", "c", "y"),
        manifest.Video("text", "text.mp4", "real", "test", "d"),
        manifest.Video("mute", "mute.mp4", "real", "train", "e"),
        manifest.Video("lost", "lost.mp4", "fake", "train", "f"),
    ]
    manifest.write_manifest(folder / "manifest.csv", rows)
    return folder / "manifest.csv"


def contents(path):
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def made(videos, tmp_path_factory):
    """The data set of these videos."""
    out = tmp_path_factory.mktemp("made")
    record_files.preprocess(videos, out, "demo", 2, beam_arguments=HERE)
    return out


def records_of(path):
    return [
        tf.train.Example.FromString(record.numpy()).features.feature
        for record in tf.data.TFRecordDataset(os.fspath(path))
    ]


def test_crops_have_the_size_asked_for(videos, tmp_path):
    one = videos.with_name("one.csv")
    manifest.write_manifest(one, manifest.read_manifest(videos)[:1])
    small = spec.ChunkSpec(crop_size=112)
    record_files.preprocess(
        one, tmp_path, "demo", beam_arguments=HERE, chunk_spec=small
    )
    found = data_set.DataSet.load(tmp_path)
    assert found.spec == small
    (record,) = records_of(*found.shards("train"))
    sizes = {
        tf.io.decode_jpeg(frame).shape for frame in record["frames"].bytes_list.value
    }
    assert sizes == {(112, 112, 3)}


def test_every_video_has_a_row_and_usable_ones_have_records(videos, made):
    found = data_set.DataSet.load(made)
    rows = {row.video.video_id: row for row in found.videos()}
    assert list(rows) == [v.video_id for v in manifest.read_manifest(videos)]
    assert {name: (row.status, row.chunks) for name, row in rows.items()} == {
        "v0": (spec.OK, 2),
        "v1": (spec.OK, 3),
        "v2": (spec.OK, 4),
        "v3": (spec.OK, 5),
        "text": (spec.DECODE_ERROR, 0),
        "mute": (spec.NO_AUDIO, 0),
        "lost": (spec.DECODE_ERROR, 0),
    }
    assert all(row.reason for row in rows.values() if row.status != spec.OK)
    assert found.splits == spec.SPLITS
    in_files = {
        split: sorted(
            record["video_id"].bytes_list.value[0].decode()
            for shard in found.shards(split)
            for record in records_of(shard)
        )
        for split in found.splits
    }
    assert in_files == {"train": ["v0", "v1"], "validation": ["v2"], "test": ["v3"]}


def test_shards_are_named_and_counted(made):
    found = data_set.DataSet.load(made)
    assert [p.name for p in found.shards("train")] == [
        "demo-train.tfrecord-00000-of-00002",
        "demo-train.tfrecord-00001-of-00002",
    ]
    for split in found.splits:
        entry = found.info["splits"][split]
        assert sum(s["videos"] for s in entry["shards"]) == entry["videos"]
        for shard in entry["shards"]:
            path = made / shard["file"]
            assert path.stat().st_size == shard["bytes"]
            assert hashlib.sha256(path.read_bytes()).hexdigest() == shard["sha256"]
            assert len(records_of(path)) == shard["records"]
    assert found.info["splits"]["train"]["chunks"] == 5


def test_a_row_says_what_the_file_of_the_video_is(videos, made):
    rows = {row.video.video_id: row for row in data_set.DataSet.load(made).videos()}
    assert rows["v1"].media == data_set.MediaFacts(
        bytes=(videos.parent / "v1.mp4").stat().st_size,
        width=320,
        height=240,
        frame_rate=30.0,
        video_codec="h264",
        audio_codec="aac",
        sample_rate=48_000,
        channels=1,
        leading_silence=rows["v1"].media.leading_silence,
    )
    assert rows["v1"].media.leading_silence < 0.01
    assert (rows["mute"].media.width, rows["mute"].media.audio_codec) == (320, "")
    assert rows["text"].media == data_set.MediaFacts(bytes=8)
    assert rows["lost"].media == data_set.MediaFacts()


def test_a_record_is_a_face_with_its_voice(made):
    (record,) = records_of(data_set.DataSet.load(made).shards("validation")[0])
    frames = record["frames"].bytes_list.value
    assert len(frames) == 120
    assert tf.io.decode_jpeg(frames[0]).shape == (224, 224, 3)
    mfcc = np.reshape(record["mfcc"].float_list.value, (-1, 13))
    assert len(mfcc) == spec.ChunkSpec().mfcc_frames_in(120)


def test_tensorflow_datasets_opens_it(made):
    tfds = pytest.importorskip("tensorflow_datasets")
    builder = tfds.builder_from_directory(made)
    assert builder.name == "demo"
    records = {
        split: [len(record["frames"]) for record in builder.as_dataset(split=split)]
        for split in spec.SPLITS
    }
    assert records == {"train": [60, 90], "validation": [120], "test": [150]}


def test_running_again_changes_nothing(videos, made):
    before = contents(made)
    record_files.preprocess(videos, made, "demo", 2, beam_arguments=HERE)
    assert contents(made) == before


def test_an_interrupted_run_goes_on_to_the_same_bytes(
    videos, made, tmp_path, monkeypatch
):
    write = shards.write
    done = []

    def fail_at_second(shard, job):
        if done:
            raise KeyboardInterrupt
        done.append(shard)
        write(shard, job)

    monkeypatch.setattr(shards, "write", fail_at_second)
    with pytest.raises((KeyboardInterrupt, RuntimeError)):
        record_files.preprocess(videos, tmp_path, "demo", 2, beam_arguments=HERE)
    with pytest.raises(InputError, match="not whole"):
        data_set.DataSet.load(tmp_path)
    finished = [p for p in tmp_path.iterdir() if "tfrecord" in p.name]
    assert len(finished) == 1
    made_at = finished[0].stat().st_mtime_ns
    monkeypatch.setattr(shards, "write", write)
    record_files.preprocess(videos, tmp_path, "demo", 2, beam_arguments=HERE)
    assert finished[0].stat().st_mtime_ns == made_at
    assert contents(tmp_path) == contents(made)


class _Killed(BaseException):
    pass


def test_killed_at_any_step_and_run_again_gives_the_same_bytes(
    videos, tmp_path, monkeypatch
):
    class Reader:
        """One record a video, without looking at it."""

        summary = Summary(spec.OK, tracks=1, chunks=1, seconds=1.0)

        def __init__(self, path, *args, **kwargs):
            self._frame = path.name.encode()

        def __iter__(self):
            mfcc, boxes = np.zeros((99, 13), np.float32), np.zeros((30, 4), np.float32)
            yield TrackSegment([self._frame] * 30, mfcc, 0.0, 0, boxes)

    steps, last = [0], [None]

    def step_by_step(owner, name):
        step = getattr(owner, name)

        def take(*args, **kwargs):
            steps[0] += 1
            # A process that was killed does nothing more.
            if last[0] is not None and steps[0] > last[0]:
                raise _Killed
            return step(*args, **kwargs)

        monkeypatch.setattr(owner, name, take)

    path_type = type(epath.Path(tmp_path))
    for name in ("write_text", "replace", "unlink", "rmtree"):
        step_by_step(path_type, name)
    step_by_step(tf.io.TFRecordWriter, "write")
    monkeypatch.setattr(shards.isolation, "IsolatedTrackReader", Reader)

    def run(out, stop_after=None):
        steps[0], last[0] = 0, stop_after
        record_files.preprocess(videos, out, "demo", beam_arguments=HERE)

    run(tmp_path / "whole")
    num_steps, expected = steps[0], contents(tmp_path / "whole")
    assert num_steps > 15
    for stop_after in range(0, num_steps, 3):
        out = tmp_path / str(stop_after)
        with pytest.raises((_Killed, RuntimeError)):
            run(out, stop_after)
        finished = [p for p in out.glob("[!.]*") if p.is_file()]
        assert all(p.read_bytes() == expected[p.relative_to(out)] for p in finished)
        times = {p: p.stat().st_mtime_ns for p in out.glob("*tfrecord*")}
        run(out)
        assert contents(out) == expected
        assert {p: p.stat().st_mtime_ns for p in times} == times


@pytest.fixture
def full_disk(made, tmp_path, monkeypatch):
    """A folder with room for some shards; yields it and what makes room for all."""
    folder = tmp_path / "full"
    folder.mkdir()
    shards_made = [p.stat().st_size for p in made.iterdir() if "tfrecord" in p.name]
    size = sum(shards_made) - min(shards_made) // 2
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if subprocess.run(mount, check=False, capture_output=True).returncode == 0:
        larger = ["mount", "-o", f"remount,size={4 * size}", folder]
        yield folder, lambda: subprocess.run(larger, check=True)
        subprocess.run(["umount", folder], check=True)
        return
    # Only root may make a small disk; for others the third record is one too many.
    write, written = tf.io.TFRecordWriter.write, []

    def write_few(self, record):
        written.append(record)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, record)

    monkeypatch.setattr(tf.io.TFRecordWriter, "write", write_few)
    yield folder, lambda: None


def test_a_full_disk_gets_one_message_and_keeps_what_is_finished(
    videos, made, full_disk
):
    folder, make_room = full_disk
    with pytest.raises(InputError, match="no space left .* run the same command"):
        record_files.preprocess(videos, folder, "demo", 2, beam_arguments=HERE)
    finished = {p: p.stat().st_mtime_ns for p in folder.glob("*tfrecord*")}
    assert finished
    assert not list(
        (folder / data_set.WORK_DIR).glob("*tfrecord-*-of-00002.????????????")
    )
    make_room()
    record_files.preprocess(videos, folder, "demo", 2, beam_arguments=HERE)
    assert contents(folder) == contents(made)
    assert {p: p.stat().st_mtime_ns for p in finished} == finished


@pytest.mark.usefixtures("faulty")
def test_a_crash_and_a_hang_cost_one_row_each(videos, tmp_path):
    folder = videos.parent
    for name in ("segfault", "hang"):
        os.link(folder / "v1.mp4", folder / f"{name}.mp4")
    good = manifest.Video("v2", "v2.mp4", "real", "train")
    bad = [manifest.Video(n, f"{n}.mp4", "fake", "train") for n in ("segfault", "hang")]
    shard = "demo-train.tfrecord-00000-of-00001"
    data = {}
    for name, rows in {"good": [good], "all": [bad[0], good, bad[1]]}.items():
        manifest.write_manifest(folder / f"{name}.csv", rows)
        results = record_files.preprocess(
            folder / f"{name}.csv", tmp_path / name, "demo",
            options=PreprocessingConfig(video_timeout_seconds=10), beam_arguments=HERE,
        )  # fmt: skip
        data[name] = (tmp_path / name / shard).read_bytes()
    statuses = [row.status for row in results]
    assert statuses == [spec.DECODE_ERROR, spec.OK, spec.OVER_LIMIT]
    assert "crashed (SIGSEGV)" in results[0].reason
    assert "no headway for 10 s" in results[2].reason
    assert data["all"] == data["good"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"num_shards": 1}, "num_shards"),
        (
            {"options": PreprocessingConfig(jpeg_quality=50)},
            "jpeg_quality=90.*jpeg_quality=50",
        ),
        ({"name": "other"}, "demo.*other"),
    ],
)
def test_a_data_set_made_otherwise_is_left_alone(videos, made, changed, named):
    before = contents(made)
    arguments = {"name": "demo", "num_shards": 2} | changed
    with pytest.raises(InputError, match=named):
        record_files.preprocess(videos, made, **arguments, beam_arguments=HERE)
    assert contents(made) == before


def test_a_manifest_whose_videos_are_elsewhere_is_refused(tmp_path):
    rows = [manifest.Video("v", "nowhere/v.mp4", "real", "train")]
    manifest.write_manifest(tmp_path / "m.csv", rows)
    with pytest.raises(InputError, match="nowhere/v.mp4"):
        record_files.preprocess(tmp_path / "m.csv", tmp_path / "out", "demo")


def test_progress_counts_finished_shards_and_what_is_done_of_others(tmp_path):
    listed = [
        manifest.Video(f"v{k}", f"v{k}.mp4", "real", "train", "") for k in range(23)
    ]
    plan = shards.plan(listed, 5)
    progress = shards.Progress(shards.Job("demo", str(tmp_path), ""), plan)
    work = tmp_path / data_set.WORK_DIR
    work.mkdir()
    assert progress.count() == 0

    def leave(index, kind, text=""):
        (work / f"demo-train.tfrecord-0000{index}-of-00005.{kind}").write_text(text)

    (work / "run.json").touch()
    leave(0, "json")
    leave(1, "progress", "3")
    # Its rows are written, its records have not got their name yet.
    leave(2, "json")
    leave(2, "progress", "4")
    # Read while it was being written.
    leave(3, "progress")
    leave(3, "json.0123456789ab")
    assert [len(shard.videos) for shard in plan] == [5, 5, 5, 4, 4]
    assert progress.count() == 5 + 3 + 4


def test_shards_depend_on_the_manifest_alone():
    videos = [
        manifest.Video(str(i), f"{i}.mp4", "real", spec.SPLITS[i % 3])
        for i in range(100)
    ]
    plan = shards.plan(videos, 0)
    assert plan == shards.plan(videos, 0)
    assert sorted(int(v.video_id) for s in plan for v in s.videos) == list(range(100))
    for split in spec.SPLITS:
        sizes = [len(s.videos) for s in plan if s.split == split]
        assert max(sizes) - min(sizes) <= 1
    assert len(shards.plan(videos[:2], 5)) == 2


@pytest.mark.parametrize(
    ("videos", "shards_expected"), [(1, 1), (4, 1), (100, 17), (100_000, 1563)]
)
def test_number_of_shards_by_default(videos, shards_expected):
    assert shards.default_num_shards(videos) == shards_expected


@pytest.fixture
def dask_cluster(tmp_path):
    """A scheduler and two workers; yields the file that tells where they are."""
    file = tmp_path / "scheduler.json"
    program = [sys.executable, "-m", "distributed.cli.dask_"]
    common = [f"--scheduler-file={file}", "--no-dashboard"]
    worker = ["worker", *common, "--nthreads=1", "--no-nanny"]
    processes = [
        subprocess.Popen(
            [*program[:-1], program[-1] + words[0], *words[1:]],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for words in (["scheduler", "--port=0", *common], worker, worker)
    ]  # fmt: skip
    yield file
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.slow(15)
def test_two_workers_of_a_dask_cluster_give_the_same_bytes(
    videos, made, tmp_path, dask_cluster
):
    with distributed.Client(
        scheduler_file=os.fspath(dask_cluster), set_as_default=False, timeout=60
    ) as client:
        client.wait_for_workers(2, timeout=60)
        record_files.preprocess(
            videos, tmp_path / "out", "demo", 2,
            beam_arguments=[
                "--runner=DaskRunner", f"--dask_scheduler_file={dask_cluster}"
            ],
        )  # fmt: skip
        readers = client.run(lambda: len(processes._idle))
    assert contents(tmp_path / "out") == contents(made)
    # Each worker has read videos.
    assert list(readers.values()) == [1, 1]


def run(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.preprocess", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


@pytest.mark.slow(30)
def test_killed_and_run_again_by_two_programs_gives_the_bytes_of_one_undisturbed(
    videos, made, tmp_path
):
    arguments = [
        f"--manifest={videos}", f"--output_dir={tmp_path}", "--name=demo",
        "--num_shards=2",
    ]  # fmt: skip
    two_workers = ["--direct_num_workers=2"]
    killed = run(*arguments, *two_workers, start_new_session=True)
    while killed.poll() is None and not list(tmp_path.glob("*tfrecord*")):
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    for again in [run(*arguments, *workers) for workers in (two_workers, HERE)]:
        out, errors = again.communicate()
        assert again.returncode == 0, errors
        assert "decode_error" in out
    assert contents(tmp_path) == contents(made)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--num_shard=3"], "num_shard"),
        (["--manifest=nowhere.csv"], "there is no such file, expected a manifest"),
        (["--detect_every=0"], "detect_every"),
        (["--tracks=none"], "all|largest|longest"),
    ],
)
def test_mistakes_get_one_clear_message(videos, tmp_path, arguments, expected):
    done = run_program(
        *("pipelines.preprocess", f"--manifest={videos}", f"--output_dir={tmp_path}"),
        *("--name=x", *arguments),
    )
    assert_refused(done, expected)


def test_a_second_preprocess_waits_for_the_first_and_takes_what_it_made(
    videos, made, tmp_path, capsys
):
    out = tmp_path / "out"
    results, said = [], threading.Event()

    def second():
        results.append(
            record_files.preprocess(videos, out, "demo", 2, beam_arguments=HERE)
        )

    thread = threading.Thread(target=second)
    with files.locked(out, said.set):
        thread.start()
        while "another preprocess is at work" not in capsys.readouterr().err:
            assert thread.is_alive()
            time.sleep(0.01)
        assert not list(out.glob("*.tfrecord*"))
        shutil.copytree(made, out, dirs_exist_ok=True)
    thread.join()
    assert results == [data_set.DataSet.load(made).videos()]
    assert contents(out) == contents(made)


def test_a_table_of_the_users_is_not_overwritten(tmp_path):
    # Named as the results of a data set are, and beside the videos.
    table = tmp_path / data_set.VIDEOS_FILE
    (tmp_path / "a.mp4").write_text("no video")
    manifest.write_manifest(table, [manifest.Video("a", "a.mp4", "real", "train", "g")])
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"videos\.csv is no part of a data set"):
        record_files.preprocess(table, tmp_path, "demo", 1, beam_arguments=HERE)
    assert contents(tmp_path) == before


def test_a_set_of_which_only_the_last_part_is_there_is_taken(tmp_path):
    rows = [
        manifest.Video(f"v{i}", f"v{i}.mp4", "real", "train", "g") for i in range(120)
    ]
    with pytest.raises(InputError, match="none of its videos exists"):
        record_files._check_files(tmp_path / "manifest.csv", rows)
    (tmp_path / "v119.mp4").touch()
    record_files._check_files(tmp_path / "manifest.csv", rows)


def test_pictures_of_tracks_and_stills_become_records_of_faces(videos, tmp_path):
    folder = videos.parent
    (folder / "face.jpg").write_bytes(faces.jpeg(faces.marked(64, 64, (0, 0, 60, 60))))
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    rows = [
        *manifest.read_manifest(videos),
        manifest.Video("face", "face.jpg", "fake", "train", "g", forged="picture"),
        manifest.Video("damaged", "damaged.jpg", "real", "train", "h"),
    ]
    table = folder / "faces.csv"
    manifest.write_manifest(table, rows)
    options = PreprocessingConfig(pictures=4)
    made = record_files.preprocess(
        table, tmp_path, "faces", 1, options, beam_arguments=HERE
    )
    by_name = {row.video.video_id: (row.status, row.chunks) for row in made}
    # What has no sound has a picture.
    assert by_name["mute"] == by_name["v0"] == (spec.OK, 4)
    assert by_name["face"] == (spec.OK, 1)
    assert by_name["damaged"] == (spec.DECODE_ERROR, 0)
    found = data_set.DataSet.load(tmp_path, data_set.FACES)
    stored = [
        face_records.decode(record.numpy())
        for record in tf.data.TFRecordDataset(found.shard_files("train"))
    ]
    of_v1 = [one for one in stored if one.video_id == "v1"]
    assert [one.label for one in of_v1] == [spec.FAKE] * 4
    # Spread over its 3 s.
    assert [one.face.seconds for one in of_v1] == pytest.approx(
        [0.375, 1.125, 1.875, 2.625], abs=0.05
    )
    with pytest.raises(InputError, match="holds records of faces, expected tracks"):
        data_set.DataSet.load(tmp_path)
    again = record_files.preprocess(
        table, tmp_path, "faces", 1, options, beam_arguments=HERE
    )
    assert again == made
