"""Imports a checkpoint of the paper's public PyTorch code as a run of tfmds.

    python -m tfmds.import_torch --checkpoint=model_best_epoch48.pth.tar \
        --calibrate_on=DATA --output=RUN

The run is used as any other, with tfmds.evaluate, tfmds.select_threshold and
tfmds.export. Needs PyTorch: pip install 'tfmds[torch]'.

The visual batch norms of that code keep no running statistics. With --calibrate_on they
are measured on training chunks of a data set, and a video's score is its own. Without,
the network does as that code did and normalises by the batch at hand: scores change
with what else is scored beside them (docs/fidelity.md).
"""

from absl import flags

from tfmds.common import app

_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", None, "The .pth.tar that the paper's train.py wrote.", required=True
)
_OUTPUT = flags.DEFINE_string("output", None, "Where the run goes.", required=True)
_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size",
    None,
    "Side of its pictures in pixels (its --img_dim); by default the multiple of 32"
    " that fits the weights.",
)
_CALIBRATE_ON = flags.DEFINE_string(
    "calibrate_on", None, "Data set to measure visual batch norm statistics on."
)
_CALIBRATION_CHUNKS = flags.DEFINE_integer(
    "calibration_chunks", 512, "Training chunks to measure them on.", lower_bound=8
)


def main() -> None:
    """Flags to one import."""
    # TensorFlow starts in seconds: a mistyped flag is answered without it.
    from tfmds.importing import batch_statistics, pytorch
    from tfmds.models.two_stream import two_stream

    pytorch.check_free(_OUTPUT.value)
    checkpoint = pytorch.read(_CHECKPOINT.value)
    config = pytorch.config_of(checkpoint, _IMAGE_SIZE.value)
    model = two_stream(config)
    pytorch.load_weights(model, checkpoint)
    if _CALIBRATE_ON.value:
        batches = batch_statistics.training_batches(
            _CALIBRATE_ON.value, config, _CALIBRATION_CHUNKS.value
        )
        model, config = batch_statistics.with_running_statistics(model, config, batches)
    pytorch.write_run(_OUTPUT.value, model, config, checkpoint)
    print(
        f"{_OUTPUT.value}: {config.backbone} for pictures of {config.image_size}"
        f" pixels, {model.count_params():,} numbers, {checkpoint.epoch} epochs."
    )
    if not _CALIBRATE_ON.value:
        print(
            "Its visual batch norms take the statistics of each batch, as the original"
            " did: a score depends on the chunks scored beside it. For scores that do"
            " not, import again with --calibrate_on=DATA."
        )


if __name__ == "__main__":
    app.run(main)
