r"""Tells what is in a data set of pipelines.preprocess, and whether it is whole.

    python -m pipelines.inspect --data_dir=OUT
    python -m pipelines.inspect --data_dir=OUT --verify

Prints counts, and sizes, rates and codecs by class; warns where one of these alone
tells real from fake. Writes the same as a page with faces to look at.
"""

import dataclasses
import sys

from tfmds.common import app, files
from tfmds.common.flags import FILE, REQUIRED, setting
from tfmds.data.data_set import DataSet


@dataclasses.dataclass(frozen=True, kw_only=True)
class InspectConfig:
    """What to look at, and where the page goes."""

    data_dir: str = setting(REQUIRED, "The data set.")
    report: str | None = setting(
        None,
        "The page that is written; audit.html in data_dir without it.",
        writes=FILE,
    )
    faces: int = setting(48, "Faces of each class and manipulation on the page.", low=1)
    verify: bool = setting(
        False,
        "Reads every record of every shard instead, and names the damaged shards.",
    )


def main(config: InspectConfig) -> None:
    """Prints the tables and writes the page."""
    data_set = DataSet.load(config.data_dir, None)
    page = config.report or data_set.path / "audit.html"
    if not config.verify:
        files.check_writable(page, is_folder=False)
    # TensorFlow starts in seconds: bad input is told without it.
    from pipelines import audit
    from tfmds.data import integrity

    if config.verify:
        print(f"{integrity.check(data_set)} shards are as they were written")
        return
    rows = data_set.videos()
    print(audit.text(rows))
    for line in audit.warnings(audit.quantities(rows)):
        print(f"warning: {line}", file=sys.stderr)
    run = data_set.info.get("run", {})
    provenance = {
        "data set": data_set.name,
        "folder": str(data_set.path),
        "options": ", ".join(f"{k}={v}" for k, v in run.get("options", {}).items()),
        "manifest": run.get("manifest_sha256", ""),
        "versions": ", ".join(
            f"{k} {v}" for k, v in data_set.info.get("versions", {}).items()
        ),
    }
    faces = audit.sample_faces(data_set.path, config.faces)
    files.write_text(page, audit.page(rows, faces, provenance))
    print(f"Faces to look at are in {page}")
    words = f"--data_dir={config.data_dir}", "--workdir=RUN"
    print(f"Next: {app.command('tfmds.train', '--flagfile=robust.flags', *words)}")


if __name__ == "__main__":
    app.run(main)
