"""A network of pictures and data sets of faces become scores."""

import dataclasses
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfmds import spec
from tfmds.data import face_batches, face_records
from tfmds.data.data_set import DataSet, VideoRow
from tfmds.evaluation import scores
from tfmds.evaluation.scores import VideoScores
from tfmds.models.two_stream import fake_probability

# Faces uint8 `[n, s, s, 3]`, as `face_records.view` frames them, to the probability
# that each is forged, float `[n]`.
Predict = Callable[[np.ndarray], np.ndarray]


def predictor(model: keras.Model) -> Predict:
    """The network as a compiled function, which sees later changes of its weights."""

    @tf.function(reduce_retracing=True, autograph=False)
    def predict(pictures: tf.Tensor) -> tf.Tensor:
        logits = model({"pictures": pictures}, training=False)["picture_logits"]
        return fake_probability(logits)

    return lambda pictures: predict(pictures).numpy()


@dataclasses.dataclass(frozen=True)
class FaceScores:
    """A row per face, `m` rows.

    Attributes:
      video_id: Of each face.
      seconds: When it is shown.
      probability: That it is forged, float64 `[m]`.
    """

    video_id: list[str]
    seconds: list[float]
    probability: np.ndarray


def of_faces(
    predict: Predict, data_set: DataSet, splits: Sequence[str], size: int
) -> FaceScores:
    """Scores every face of some splits of a data set."""
    stored: list[face_records.Stored] = []
    found: list[np.ndarray] = []
    shards = data_set.shard_files(*(s for s in splits if s in data_set.splits))
    for pictures, of_batch in face_batches.scoring_batches(shards, size):
        found.append(predict(pictures))
        stored += of_batch
    return FaceScores(
        video_id=[one.video_id for one in stored],
        seconds=[one.face.seconds for one in stored],
        probability=np.concatenate(found or [np.zeros(0)]).astype(np.float64),
    )


def of_data_sets(
    predict: Predict, data_sets: Sequence[DataSet], splits: Sequence[str], size: int
) -> VideoScores | None:
    """Scores of the videos of known class of these splits, None where there is none.

    A video's score is the mean over its pictures, and is called what the score of any
    detector with one score is called, MDS.
    """
    rows: list[VideoRow] = []
    means: dict[str, float] = {}
    for number, data_set in enumerate(data_sets):
        faces = of_faces(predict, data_set, splits, size)
        each: dict[str, list[float]] = {}
        for name, value in zip(faces.video_id, faces.probability, strict=True):
            each.setdefault(name, []).append(float(value))
        prefix = f"{data_set.name}_" if number else ""
        for row in data_set.videos():
            video = row.video
            if video.split in splits and video.label:
                name = f"{prefix}{video.video_id}"
                renamed = dataclasses.replace(video, video_id=name)
                rows.append(dataclasses.replace(row, video=renamed))
                if video.video_id in each:
                    means[name] = float(np.mean(each[video.video_id]))
    if not means:
        return None
    names = [row.video.video_id for row in rows]
    return VideoScores(
        video_id=scores.texts(names),
        label=np.array(
            [face_records.picture_label(row.video) for row in rows], np.int8
        ),
        split=scores.texts(row.video.split for row in rows),
        group=scores.texts(row.video.group for row in rows),
        manipulation=scores.texts(row.video.manipulation for row in rows),
        status=scores.texts(
            spec.OK if name in means else scores.NO_SCORE for name in names
        ),
        chunks=np.array([row.chunks for row in rows], np.int64),
        scores={scores.MDS: np.array([means.get(name, np.nan) for name in names])},
    )
