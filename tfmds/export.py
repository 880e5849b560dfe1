"""Exports a trained model with its threshold.

    python -m tfmds.export --model=RUN --threshold=threshold.json --output_dir=EXPORT

The SavedModel loads with TensorFlow alone; tfmds.detect, tfmds.serve and TensorFlow
Serving use it. Each export becomes the next version in EXPORT. --format=onnx and litert
write the network alone, for other runtimes. An export in place of RUN is written anew:
with another threshold, and with what exports can do today. A run of --network=picture
becomes a small graph of ONNX, which tells how likely each picture of a face is forged.
"""

import dataclasses

from tfmds.common import app
from tfmds.common.errors import InputError
from tfmds.common.flags import FOLDER, REQUIRED, setting
from tfmds.exporting.export_info import FORMATS
from tfmds.spec import PICTURE_NETWORK


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What to export, and how."""

    model: str = setting(
        REQUIRED,
        "The --workdir of tfmds.train, or an export that is to be renewed; starter is"
        " the model of the package.",
    )
    threshold: str | None = setting(
        None,
        "The threshold.json of tfmds.select_threshold; only a network of single"
        " pictures may go without.",
    )
    output_dir: str = setting(REQUIRED, "Where the export goes.", writes=FOLDER)
    format: str = setting(FORMATS[0], "What to write.", choices=FORMATS)


def main(config: ExportConfig) -> None:
    """Flags to one call."""
    from tfmds.exporting import export_info, picture_form, saved_model
    from tfmds.models import run_config

    if run_config.network(config.model) == PICTURE_NETWORK:
        folder = picture_form.export(config.model, config.output_dir, config.threshold)
        print(f"Exported to {folder}.")
        return
    if not config.threshold:
        raise InputError("--threshold is missing: choose one, tfmds.select_threshold")
    folder = saved_model.export(
        config.model, config.threshold, config.output_dir, config.format
    )
    print(f"Exported to {folder}.")
    if export_info.read_about(folder)["model"].get("visual_batch_statistics"):
        print(
            "This network takes statistics of its batch (--visual_batch_statistics):"
            " its batch norms stay, and a distance depends on what else is in its"
            " batch."
        )
    if config.format == FORMATS[0]:
        use = app.command("tfmds.detect", f"--model={config.output_dir}", "VIDEO...")
        print(f"Use it: {use}")


if __name__ == "__main__":
    app.run(main)
