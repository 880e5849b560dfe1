r"""Imports a checkpoint of the paper's public PyTorch code as a run of tfmds.

    python -m tfmds.import_torch --checkpoint=model_best_epoch48.pth.tar \
        --calibrate_on=DATA --output=RUN

The run is used as any other, with tfmds.evaluate, tfmds.select_threshold and
tfmds.export. Needs PyTorch: pip install -e '.[torch]'.

The visual batch norms of that code keep no running statistics. With --calibrate_on they
are measured on training chunks of a data set, and a video's score is its own. Without,
the network does as that code did and normalises by the batch at hand: scores change
with what else is scored beside them (docs/fidelity.md).
"""

import dataclasses

from tfmds.common import app
from tfmds.common.flags import FOLDER, REQUIRED, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportTorchConfig:
    """What to import, and where to."""

    checkpoint: str = setting(REQUIRED, "The .pth.tar that the paper's train.py wrote.")
    output: str = setting(REQUIRED, "Where the run goes.", writes=FOLDER)
    image_size: int | None = setting(
        None,
        "Side of its pictures in pixels (its --img_dim); by default the multiple of 32"
        " that fits the weights.",
    )
    calibrate_on: str | None = setting(
        None, "Data set to measure visual batch norm statistics on."
    )
    calibration_chunks: int = setting(512, "Training chunks to measure them on.", low=8)


def main(flag: ImportTorchConfig) -> None:
    """Flags to one import."""
    from tfmds.importing import batch_statistics, pytorch

    pytorch.check_free(flag.output)
    checkpoint = pytorch.read(flag.checkpoint)
    model, config = pytorch.network(checkpoint, flag.image_size)
    if flag.calibrate_on:
        batches = batch_statistics.training_batches(
            flag.calibrate_on, config, flag.calibration_chunks
        )
        model, config = batch_statistics.with_running_statistics(model, config, batches)
    pytorch.write_run(flag.output, model, config, checkpoint)
    print(
        f"{flag.output}: {config.backbone} for pictures of {config.image_size}"
        f" pixels, {model.count_params():,} numbers, {checkpoint.epoch} epochs."
    )
    if not flag.calibrate_on:
        print(
            "Its visual batch norms take the statistics of each batch, as the original"
            " did: a score depends on the chunks scored beside it. For scores that do"
            " not, import again with --calibrate_on=DATA."
        )


if __name__ == "__main__":
    app.run(main)
