"""Data sets of faces for tests: pictures whose colour tells what they are."""

import json
import pathlib
from collections.abc import Sequence

import cv2
import numpy as np
import tensorflow as tf

from tfmds.common import files
from tfmds.data import data_set, face_records
from tfmds.data.manifest import Video
from tfmds.spec import FORMAT_VERSION, ChunkSpec


def jpeg(picture: np.ndarray) -> bytes:
    """RGB, uint8 `[h, w, 3]`, as JPEG of the best quality."""
    best = [cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
    return cv2.imencode(".jpg", picture[:, :, ::-1], best)[1].tobytes()


def marked(height: int, width: int, box: Sequence[int]) -> np.ndarray:
    """A black picture with a white box: left, top, right, bottom in pixels."""
    picture = np.zeros((height, width, 3), np.uint8)
    left, top, right, bottom = box
    picture[top:bottom, left:right] = 255
    return picture


def data_set_dir(
    path: pathlib.Path,
    splits: dict[str, int],
    *,
    name: str = "faces",
    fake_share: float = 0.5,
    side: int = 96,
    level: int = 60,
    seed: int = 0,
) -> pathlib.Path:
    """A whole data set of faces: smooth ones; the middle of the fakes is checked.

    Args:
      path: The folder.
      splits: Faces by split.
      name: Of the data set.
      fake_share: Share of each split that is fake.
      side: Of the pictures in pixels.
      level: Brightness of the pictures, by which sets can be told apart.
      seed: Of the pictures.
    """
    path.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    checks = np.indices((side, side)).sum(0) // 4 % 2
    rows, described = [], {}
    for split, count in splits.items():
        file = data_set.shard_name(name, split, 0, 1)
        with tf.io.TFRecordWriter(str(path / file)) as writer:
            for i in range(count):
                fake = i < fake_share * count
                coarse = rng.integers(level - 20, level + 20, (4, 4, 3)).astype(
                    np.uint8
                )
                picture = cv2.resize(
                    coarse, (side, side), interpolation=cv2.INTER_CUBIC
                )
                if fake:
                    third = slice(side // 3, 2 * side // 3)
                    picture[third, third] += (40 * checks[third, third, None]).astype(
                        np.uint8
                    )
                video = Video(
                    f"{split}{i}",
                    f"{split}{i}.jpg",
                    "fake" if fake else "real",
                    split,
                    f"{split}{i}",
                    "checked" if fake else "",
                    (),
                    "picture" if fake else "",
                )
                writer.write(
                    face_records.encode(face_records.Face(jpeg(picture)), video)
                )
                rows.append(data_set.VideoRow(video, "ok", "", 1, 1, 0.0))
        shard = {
            "file": file,
            "records": count,
            "bytes": (path / file).stat().st_size,
            "sha256": files.sha256(path / file),
        }
        described[split] = {"shards": [shard]}
    data_set.write_videos(path / data_set.VIDEOS_FILE, rows)
    (path / data_set.INFO_FILE).write_text(
        json.dumps(
            {
                "format_version": FORMAT_VERSION,
                "name": name,
                "chunk_spec": ChunkSpec().to_json(),
                "records": data_set.FACES,
                "splits": described,
            }
        )
    )
    return path
