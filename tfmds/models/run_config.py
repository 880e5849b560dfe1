"""The configuration of a run, RUN/config.json, and what it says. Needs no Keras."""

import os
from typing import Any

from etils import epath

from tfmds.common import files, json_files
from tfmds.common.errors import InputError
from tfmds.spec import FORMAT_VERSION, STREAMS, TWO_STREAM, VIDEO

_CONFIG = "config.json"


def write(workdir: os.PathLike | str, config: dict[str, Any]) -> None:
    """Saves a run's whole configuration (JSON values)."""
    path = epath.Path(workdir) / _CONFIG
    files.write_json(path, {json_files.VERSION: FORMAT_VERSION, **config})


def read(workdir: os.PathLike | str) -> dict[str, Any] | None:
    """What `write` saved, or None where there is no run."""
    path = epath.Path(workdir) / _CONFIG
    if not path.is_file():
        return None
    return json_files.read_versioned(
        path,
        FORMAT_VERSION,
        "the configuration of a training run",
        "Train again, or use the tfmds that made it.",
    )


def network(workdir: os.PathLike | str) -> str:
    """What network a run is of; `spec.TWO_STREAM` also where there is no run."""
    return (read(workdir) or {}).get("network", TWO_STREAM)


def of_run(workdir: os.PathLike | str, network: str | None = None) -> dict[str, Any]:
    """The same; raises InputError where there is no run, or one of another network."""
    config = read(workdir)
    if config is None or "model" not in config:
        raise InputError(
            f"{workdir}: not a model. Expected the --workdir of tfmds.train, which"
            f" holds {_CONFIG} and checkpoints/"
        )
    found = config.get("network", TWO_STREAM)
    if network and found != network:
        raise InputError(
            f"{workdir}: is a run of --network={found}, expected one of"
            f" --network={network}"
        )
    return config


def trained_heads(workdir: os.PathLike | str) -> dict[str, str]:
    """Which heads a run trained, and by whose truth: `spec.OWN` or `spec.VIDEO`.

    By stream. Of an imported network nothing is known, and nothing returned.
    """
    recipe = of_run(workdir).get("recipe", {})
    # Runs of before the setting learned as the paper has it.
    labels = str(recipe.get("stream_labels", VIDEO))
    return {s: labels for s in STREAMS if recipe.get(f"{s}_weight")}


def knows_heads(workdir: os.PathLike | str) -> bool:
    """Whether a run says which heads it trained; an imported network does not."""
    return bool(of_run(workdir).get("recipe"))


def trains_distance(workdir: os.PathLike | str) -> bool:
    """Whether a run learned how far mouth and voice are apart, and not heads alone.

    So it is taken of an imported network, of whose training nothing is known.
    """
    recipe = of_run(workdir).get("recipe", {})
    return bool(recipe.get("contrastive_weight", 1.0) or recipe.get("mismatch_weight"))


def judged_by(workdir: os.PathLike | str) -> str:
    """The score by which a run chose its best checkpoint, as `training.loop` does.

    Of an imported network, and where there is no configuration, it is the paper's.
    """
    recipe = (read(workdir) or {}).get("recipe", {})
    best_by = str(recipe.get("best_by", "mds"))
    heads = trained_heads(workdir) if recipe else {}
    if not heads or trains_distance(workdir) or best_by in heads:
        return best_by
    return next(iter(heads))
