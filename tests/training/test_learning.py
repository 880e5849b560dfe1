"""Whether the whole path learns what it should, and nothing where there is nothing.

A path that mixes up frames, labels or splits would pass every other test.
"""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from tfmds import spec
from tfmds.data import data_set, input_pipeline
from tfmds.data.config import BatchConfig
from tfmds.evaluation import score_files
from tfmds.models import checkpoints
from tfmds.models.config import TwoStreamConfig
from tfmds.models.two_stream import with_pairwise_distance
from tfmds.scoring import scorer
from tfmds.training import run
from tfmds.training.config import TrainingConfig

# With the drawing of the demo data set.
pytestmark = [pytest.mark.slow(90), pytest.mark.usefixtures("no_pictures")]

MODEL = TwoStreamConfig(
    width=0.25,
    image_size=32,
    region="mouth",
    keep_time=True,
    standardize_frames=True,
    standardize_mfcc=True,
    unit_embeddings=True,
)
BATCH = BatchConfig(tracks=4, chunks_per_track=4, sampling="random", augment=True)
RECIPE = TrainingConfig(
    epochs=1,
    optimizer="adamw",
    schedule="cosine",
    warmup_steps=10,
    contrastive_weight=0.3,
    visual_weight=0.0,
    audio_weight=0.0,
    mismatch_weight=1.0,
)


def learn(data_dir, root, steps=70):
    recipe = dataclasses.replace(RECIPE, steps_per_epoch=steps)
    run.train(data_dir, root / "run", MODEL, BATCH, recipe)
    scorer.score_data_set(root / "run", data_dir, ["test"], root / "scores")
    videos = score_files.read_videos(root / "scores" / score_files.VIDEOS_FILE)
    return videos, score_files.read_chunks(
        root / "scores" / score_files.CHUNKS_FILE, videos
    )


def auc(videos, chunks, manipulation=None):
    """AUC over chunks; of one manipulation against all reals."""
    kinds = dict(zip(videos.video_id, videos.manipulation, strict=True))
    kind = np.array([kinds[video_id] for video_id in chunks.video_id])
    real = np.array([k == "" for k in kind])
    fake = chunks.label == spec.FAKE
    if manipulation is None:
        keep = np.ones(len(chunks), bool)
        real = ~fake
    else:
        fake &= kind == manipulation
        keep = real | fake
    return roc_auc_score(fake[keep], chunks.distance[keep])


def swapped_voice_auc(data_dir, run_dir):
    """AUC of each real test mouth with other people's voices against its own voice.

    The audio swaps of the data set in their purest form, and many times as many.
    """
    data = data_set.DataSet.load(data_dir)
    model = with_pairwise_distance(checkpoints.load_model(run_dir)[0])
    shards = [str(path) for path in data.shards("test")]
    view = MODEL.view
    chunks = input_pipeline.scoring_dataset(shards, data.spec, view, batch_size=512)
    (batch,) = chunks
    inputs = {"frames": batch["frames"], "mfcc": batch["mfcc"]}
    distance = model.predict_on_batch(inputs)["pairwise_distance"]
    kinds = {row.video.video_id.encode(): row.video for row in data.videos()}
    videos = [kinds[video_id] for video_id in batch["video_id"].numpy()]
    real = [i for i, video in enumerate(videos) if video.label == "real"]
    pairs = [(i, j) for i in real for j in real]
    pairs = [(i, j) for i, j in pairs if i == j or videos[i].group != videos[j].group]
    return roc_auc_score([i != j for i, j in pairs], [distance[p] for p in pairs])


def rewrite(source, target, change):
    """Copies a data set with `change(example, number)` made to each record."""
    target.mkdir()
    opened = data_set.DataSet.load(source)
    number = 0
    for split in opened.splits:
        for shard in opened.shards(split):
            with tf.io.TFRecordWriter(str(target / shard.name)) as writer:
                for record in tf.data.TFRecordDataset(str(shard)):
                    example = tf.train.Example.FromString(record.numpy())
                    change(example.features.feature, number)
                    number += 1
                    writer.write(example.SerializeToString())
    info = json.loads((source / data_set.INFO_FILE).read_text())
    for split in info["splits"].values():
        split["shards"] = [{"file": entry["file"]} for entry in split["shards"]]
    (target / data_set.INFO_FILE).write_text(json.dumps(info))
    (target / data_set.VIDEOS_FILE).write_bytes(
        (source / data_set.VIDEOS_FILE).read_bytes()
    )
    return target


def test_learns_that_mouth_and_voice_belong_together(demo_dir, tmp_path):
    videos, chunks = learn(demo_dir / "data", tmp_path)
    assert swapped_voice_auc(demo_dir / "data", tmp_path / "run") > 0.9
    assert auc(videos, chunks, "audio_swap") > 0.85
    assert auc(videos, chunks, "lip_sync") > 0.85
    # A fake ranks above a real, from the labels of the videos to the score files.
    mds = videos.mds
    assert mds[videos.label == spec.FAKE].mean() > mds[videos.label == spec.REAL].mean()


@pytest.mark.heavy
def test_learns_nothing_from_frames_out_of_order(demo_dir, tmp_path):
    rng = np.random.default_rng(0)

    def shuffle(features, _):
        frames = list(features["frames"].bytes_list.value)
        for start in range(0, len(frames), 30):
            second = frames[start : start + 30]
            frames[start : start + 30] = [
                second[i] for i in rng.permutation(len(second))
            ]
        features["frames"].bytes_list.value[:] = frames

    shuffled = rewrite(demo_dir / "data", tmp_path / "shuffled", shuffle)
    learn(shuffled, tmp_path, steps=50)
    assert 0.35 < swapped_voice_auc(shuffled, tmp_path / "run") < 0.65


@pytest.mark.heavy
def test_learns_nothing_from_labels_dealt_at_random(demo_dir, tmp_path):
    def deal(features, number):
        fake = number % 2 == 0
        features["label"].int64_list.value[:] = [0 if fake else 1]
        features["video_label"].int64_list.value[:] = [0 if fake else 1]
        seconds = len(features["frames"].bytes_list.value) / 30
        start = features["start_seconds"].float_list.value[0]
        whole = [start, start + seconds] if fake else []
        features["fake_periods"].float_list.value[:] = whole

    dealt = rewrite(demo_dir / "data", tmp_path / "dealt", deal)
    videos, chunks = learn(dealt, tmp_path, steps=50)
    assert 0.3 < auc(videos, chunks) < 0.7
