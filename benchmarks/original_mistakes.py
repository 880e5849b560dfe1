"""What the mistakes of the paper's code do to a result, measured on a trained model.

    python -m benchmarks.original_mistakes --model=RUN --data_dir=DATA

Prints a table: AUC of the videos' MDS as it should be; of verdicts instead of scores;
with the frames of each chunk in no order; with visual batch norms on the statistics of
whatever chunks are scored together; each also for chunks on their own. Holds all chunks
of the split in memory.
"""

import dataclasses

import keras
import numpy as np
from sklearn.metrics import roc_auc_score

from tfmds import spec
from tfmds.common import app
from tfmds.common.flags import REQUIRED, setting
from tfmds.data import input_pipeline
from tfmds.data.data_set import DataSet
from tfmds.evaluation import criteria, scores
from tfmds.models import checkpoints
from tfmds.models.batch_norm import BatchStatisticsNormalization
from tfmds.models.config import TwoStreamConfig
from tfmds.models.two_stream import two_stream


@dataclasses.dataclass(frozen=True, kw_only=True)
class MistakesConfig:
    """Which model, on what, and how often chance is tried."""

    model: str = setting(REQUIRED, "A run of tfmds.train.")
    data_dir: str = setting(REQUIRED, "Its data set.")
    split: str = setting("test", "Split to score.", choices=spec.SPLITS)
    threshold_split: str = setting(
        "validation", "Split to choose the threshold on.", choices=spec.SPLITS
    )
    orders: int = setting(5, "Orders of frames and of batches to try.", low=1)
    batch_size: int = setting(8, "Chunks in a mixed batch.", low=1)


@dataclasses.dataclass(frozen=True)
class Chunks:
    """All chunks of a split, in memory."""

    frames: np.ndarray
    mfcc: np.ndarray
    label: np.ndarray
    video_id: np.ndarray
    labels: dict[str, int]

    def mds(self, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Labels (1 fake) and MDS of the videos."""
        names, video = np.unique(self.video_id, return_inverse=True)
        fake = [self.labels[name] == spec.FAKE for name in names]
        return np.array(fake), scores.mds(distance, video, len(names))


def read(data_set: DataSet, split: str, config: TwoStreamConfig) -> Chunks:
    batches = list(
        input_pipeline.scoring_dataset(
            data_set.shard_files(split),
            data_set.spec,
            config.view,
        ).as_numpy_iterator()
    )
    joined = {
        name: np.concatenate([batch[name] for batch in batches])
        for name in ("frames", "mfcc", "label", "video_id")
    }
    joined["video_id"] = joined["video_id"].astype(str)
    labels = {
        row.video.video_id: spec.LABELS[row.video.label] for row in data_set.videos()
    }
    return Chunks(**joined, labels=labels)


def distances(
    model: keras.Model,
    chunks: Chunks,
    batch_size: int = 32,
    order: np.ndarray | None = None,
    frame_rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Distance of each chunk, scored in batches of some order."""
    count = len(chunks.frames)
    order = np.arange(count) if order is None else order
    answer = np.zeros(count)
    for first in range(0, count, batch_size):
        rows = order[first : first + batch_size]
        frames = chunks.frames[rows]
        if frame_rng is not None:
            frames = frame_rng.permuted(
                np.broadcast_to(np.arange(frames.shape[1]), frames.shape[:2]), axis=1
            )
            frames = chunks.frames[rows[:, None], frames]
        inputs = {"frames": frames, "mfcc": chunks.mfcc[rows]}
        answer[rows] = model.predict_on_batch(inputs)["distance"]
    return answer


def on_batch_statistics(model: keras.Model, config: TwoStreamConfig) -> keras.Model:
    """The same weights, visual norms without their running statistics."""
    other = two_stream(dataclasses.replace(config, visual_batch_statistics=True))
    for layer in other.layers:
        weights = model.get_layer(layer.name).get_weights()
        if isinstance(layer, BatchStatisticsNormalization):
            weights = weights[:2]
        layer.set_weights(weights)
    other.compile(jit_compile=False)
    return other


@dataclasses.dataclass(frozen=True)
class Result:
    """A row of the table: a way to measure, by order of frames or batches."""

    name: str
    video_auc: list[float]
    chunk_auc: list[float]
    # Standard deviation of a video's MDS over orders, in that of MDS over videos.
    varies: float | None = None

    def row(self) -> str:
        varies = "" if self.varies is None else f"{self.varies:.2f}"
        cells = (self.name, _mean(self.video_auc), _mean(self.chunk_auc), varies)
        return f"| {' | '.join(cells)} |"


def _mean(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def result(name: str, chunks: Chunks, found: list[np.ndarray]) -> Result:
    """AUC of videos and of chunks from distances by order."""
    fake, _ = chunks.mds(found[0])
    mds = [chunks.mds(distance)[1] for distance in found]
    varies = np.std(mds, axis=0).mean() / np.mean(mds, axis=0).std()
    return Result(
        name,
        [roc_auc_score(fake, values) for values in mds],
        [roc_auc_score(chunks.label == spec.FAKE, distance) for distance in found],
        varies if len(found) > 1 else None,
    )


def main(config: MistakesConfig) -> None:
    """Prints a row for each mistake."""
    data_set = DataSet.load(config.data_dir)
    model, network, _ = checkpoints.load_model(config.model)
    model.compile(jit_compile=False)
    chunks = read(data_set, config.split, network)
    proper = distances(model, chunks)
    results = [result("as it should be", chunks, [proper])]

    chosen_on = read(data_set, config.threshold_split, network)
    forged, known = chosen_on.mds(distances(model, chosen_on))
    tau = criteria.midpoint(known[~forged], known[forged])
    fake, mds = chunks.mds(proper)
    results.append(
        Result(
            f"verdicts at {tau:.3g} (midpoint on {config.threshold_split})",
            [roc_auc_score(fake, mds >= tau)],
            [roc_auc_score(chunks.label == spec.FAKE, proper >= tau)],
        )
    )

    shuffled = [
        distances(model, chunks, frame_rng=np.random.default_rng(seed))
        for seed in range(config.orders)
    ]
    results.append(result("frames of each chunk in no order", chunks, shuffled))

    batch_model = on_batch_statistics(model, network)
    mixed = [
        distances(
            batch_model,
            chunks,
            config.batch_size,
            np.random.default_rng(seed).permutation(len(chunks.frames)),
        )
        for seed in range(config.orders)
    ]
    mixed_name = f"batch statistics, {config.batch_size} mixed chunks"
    results.append(result(mixed_name, chunks, mixed))
    alone = distances(batch_model, chunks, 1)
    results.append(result("batch statistics, one chunk at a time", chunks, [alone]))

    print(
        f"{len(fake)} videos ({fake.sum()} fake) with {len(chunks.frames)} chunks of"
        f" {config.split}; {config.orders} orders, lowest to highest in brackets. MDS"
        " varies: the standard deviation of a video's MDS over orders, as a share of"
        " that over videos.\n"
    )
    print("| how it is measured | AUC of videos | AUC of chunks | MDS varies |")
    print("| --- | --- | --- | --- |")
    for row in results:
        print(row.row())


if __name__ == "__main__":
    app.run(main)
