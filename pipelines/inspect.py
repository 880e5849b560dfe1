r"""Tells what is in a data set of track records, and whether it is whole.

    python -m pipelines.inspect --data_dir=OUT
    python -m pipelines.inspect --data_dir=OUT --verify

Prints counts, and sizes, rates and codecs by class; warns where one of these alone
tells real from fake. Writes the same as a page with faces to look at.
"""

import sys

from absl import flags
from etils import epath

# Keeps TensorFlow's greetings off the terminal, if it comes first.
from tfmds.common import app

# isort: split
from pipelines import audit
from tfmds.common import files
from tfmds.data import integrity
from tfmds.data.data_set import DataSet

_DATA_DIR = flags.DEFINE_string("data_dir", None, "The data set.", required=True)
_REPORT = flags.DEFINE_string(
    "report", None, "The page that is written; audit.html in data_dir without it."
)
_FACES = flags.DEFINE_integer(
    "faces", 48, "Faces of each class and manipulation on the page.", lower_bound=1
)
_VERIFY = flags.DEFINE_bool(
    "verify",
    False,
    "Reads every record of every shard instead, and names the damaged shards.",
)


def main() -> None:
    """Prints the tables and writes the page."""
    data_set = DataSet.load(_DATA_DIR.value)
    if _VERIFY.value:
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
    path = epath.Path(_REPORT.value or data_set.path / "audit.html")
    faces = audit.sample_faces(data_set.path, _FACES.value)
    files.write_text(path, audit.page(rows, faces, provenance))
    print(f"Faces to look at are in {path}")


if __name__ == "__main__":
    app.run(main)
