"""Exports a trained model with its threshold.

    python -m tfmds.export --model=RUN --threshold=threshold.json --output_dir=EXPORT

The SavedModel loads with TensorFlow alone; tfmds.detect, tfmds.serve and TensorFlow
Serving use it. Each export becomes the next version in EXPORT. --format=onnx and litert
write the network alone, for other runtimes.
"""

from absl import flags

from tfmds.common import app
from tfmds.exporting import saved_model
from tfmds.models import checkpoints

_MODEL = flags.DEFINE_string(
    "model", None, "The --workdir of tfmds.train.", required=True
)
_THRESHOLD = flags.DEFINE_string(
    "threshold", None, "The threshold.json of tfmds.select_threshold.", required=True
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where the export goes.", required=True
)
_FORMAT = flags.DEFINE_enum(
    "format", saved_model.FORMATS[0], saved_model.FORMATS, "What to write."
)


def main() -> None:
    """Flags to one call."""
    folder = saved_model.export(
        _MODEL.value, _THRESHOLD.value, _OUTPUT_DIR.value, _FORMAT.value
    )
    print(f"Exported to {folder}.")
    if checkpoints.read_config(_MODEL.value)["model"].get("visual_batch_statistics"):
        print(
            "This network takes statistics of its batch (--visual_batch_statistics):"
            " its batch norms stay, and a distance depends on what else is in its"
            " batch."
        )
    if _FORMAT.value == saved_model.FORMATS[0]:
        print(f"Use it: python -m tfmds.detect --model={_OUTPUT_DIR.value} VIDEO...")


if __name__ == "__main__":
    app.run(main)
