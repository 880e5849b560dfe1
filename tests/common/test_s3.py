"""Data sets on an S3 server of this machine, where tensorflow-io is installed."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from etils import epath

from pipelines import record_files
from tests import media as make
from tests.conftest import assert_refused, run_program
from tfmds.common import remote_paths
from tfmds.data import input_pipeline, integrity, manifest
from tfmds.data.config import BatchConfig
from tfmds.data.data_set import DataSet
from tfmds.spec import ViewConfig

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_io") is None,
    reason="needs the extras io and iotest, in an environment of their own",
)


@pytest.fixture(scope="module")
def bucket():
    """An empty bucket; its server is a process, as TensorFlow waits without letting go.

    Yields:
      The bucket's address, which the environment leads to.
    """
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    remote_paths.register()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        make_bucket(f"{url}/data", time.monotonic() + 60)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("S3_ENDPOINT", url)
            patch.setenv("AWS_REGION", "us-east-1")
            patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
            yield "s3://data"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(10)


def make_bucket(url, until):
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="PUT"))
            return
        except urllib.error.URLError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    rows = []
    for i, split in enumerate(("train", "train", "test")):
        name = f"v{i}.mp4"
        head = make.talking_head()
        make.write_video(folder / name, [head] * 60, 30, make.tone(2))
        rows.append(manifest.Video(f"v{i}", name, "real", split, f"g{i}"))
    manifest.write_manifest(folder / "manifest.csv", rows)
    return folder


def make_data_set(videos, out):
    record_files.preprocess(
        f"{videos}/manifest.csv", out, "far", 1,
        beam_arguments=["--direct_num_workers=1", "--direct_running_mode=in_memory"],
    )  # fmt: skip


def test_a_data_set_is_written_to_s3_and_read_from_there(bucket, videos, tmp_path):
    # The videos come from there as well.
    for path in videos.iterdir():
        (epath.Path(bucket) / "videos" / path.name).write_bytes(path.read_bytes())
    make_data_set(f"{bucket}/videos", f"{bucket}/set")
    make_data_set(videos, tmp_path)
    far, near = DataSet.load(f"{bucket}/set"), DataSet.load(tmp_path)
    assert far.info == near.info
    assert [row.status for row in far.videos()] == ["ok"] * 3
    assert integrity.check(far) == 2
    batches = input_pipeline.training_dataset(
        [os.fspath(path) for path in far.shards("train")],
        far.spec,
        ViewConfig(56),
        BatchConfig(tracks=2),
        seed=0,
    )
    batch = next(iter(batches))
    assert batch["frames"].shape == (2, 30, 56, 56, 3)
    assert batch["mfcc"].shape == (2, 13, 99)
    assert batch["label"].numpy().tolist() == [1, 1]
    listed = {path.name for path in epath.Path(f"{bucket}/set").iterdir()}
    assert listed == {path.name for path in tmp_path.iterdir()}


def test_programs_end_with_their_exit_code(bucket):
    done = run_program("pipelines.inspect", f"--data_dir={bucket}/nowhere")
    assert_refused(done, f"{bucket}/nowhere: there is no data set here")
