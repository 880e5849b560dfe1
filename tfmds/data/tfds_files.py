"""`features.json` and `dataset_info.json`: the data set as TensorFlow Datasets sees it.

`tfds.builder_from_directory(DATA)` opens it then. They are written without the package,
which preprocessing does not need.
"""

from typing import Any

from tfmds.spec import FORMAT_VERSION, ChunkSpec

FEATURES_FILE = "features.json"
INFO_FILE = "dataset_info.json"

_CLASSES = "tensorflow_datasets.core.features."
_DESCRIPTION = (
    "Track records of tfmds: a record is the face of one person, thirty crops a second,"
    " with the MFCC of the same time."
)


def features(spec: ChunkSpec) -> dict[str, Any]:
    """What is in a record, in the words of features.json."""
    side = str(spec.crop_size)
    image = {
        "pythonClassName": _CLASSES + "image_feature.Image",
        "image": {
            "dtype": "uint8",
            "encodingFormat": "jpeg",
            "shape": {"dimensions": [side, side, "3"]},
        },
    }
    frames = {
        "pythonClassName": _CLASSES + "sequence_feature.Sequence",
        "description": f"Face crops, {spec.frame_rate} a second.",
        "sequence": {"feature": image, "length": "-1"},
    }
    seconds = "In seconds of the video."
    labels = "1 is real, 0 is fake."
    return {
        "pythonClassName": _CLASSES + "features_dict.FeaturesDict",
        "featuresDict": {
            "features": {
                "frames": frames,
                "mfcc": _tensor(
                    "float32",
                    f"{spec.mfcc_rate} a second.",
                    ["-1", str(spec.num_coefficients)],
                ),
                "start_seconds": _tensor("float32", f"First crop. {seconds}"),
                "label": _tensor("int64", f"Of this stretch. {labels}"),
                "fake_periods": _tensor("float32", f"Forged. {seconds}", ["-1", "2"]),
                "video_label": _tensor("int64", f"Of the whole video. {labels}"),
                "video_id": _text("Name of the video."),
                "group": _text("What must not be split: person or source video."),
                "manipulation": _text("Kind of forgery, empty for real."),
                "forged": _text("picture, sound, both, or empty where not known."),
                "track": _tensor("int64", "Number of the face in its video."),
            }
        },
    }


def info(name: str, splits: dict[str, Any]) -> dict[str, Any]:
    """What is in the files, in the words of dataset_info.json.

    Args:
      name: Of the data set.
      splits: As in tfmds.json, with the shards of each and their records.
    """
    return {
        "name": name,
        "version": f"{FORMAT_VERSION}.0.0",
        "description": _DESCRIPTION,
        "fileFormat": "tfrecord",
        "splits": [
            {
                "name": split,
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "numBytes": str(sum(shard["bytes"] for shard in entry["shards"])),
                "shardLengths": [str(shard["records"]) for shard in entry["shards"]],
            }
            for split, entry in splits.items()
        ],
    }


def _tensor(dtype: str, description: str, dimensions: list[str] | None = None) -> dict:
    kind = "tensor_feature.Tensor" if dimensions else "scalar.Scalar"
    shape = {"dimensions": dimensions} if dimensions else {}
    return {
        "pythonClassName": _CLASSES + kind,
        "description": description,
        "tensor": {"dtype": dtype, "encoding": "none", "shape": shape},
    }


def _text(description: str) -> dict:
    return {
        "pythonClassName": _CLASSES + "text_feature.Text",
        "description": description,
        "text": {},
    }
