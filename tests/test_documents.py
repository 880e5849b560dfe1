"""What the documents tell a reader to type and to open is there."""

import functools
import importlib
import pathlib
import re
import shlex

import pytest

from tests import tracks
from tfmds.common import flags
from tfmds.data import data_set
from tfmds.data.example_proto import Example
from tfmds.detection import results
from tfmds.evaluation import score_columns, scores

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "BUILD_NOTES.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "tfmds").glob("*/README.md")),
]
FENCED = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
PROGRAM = re.compile(r"python -m ((?:tfmds|pipelines|benchmarks)\.\w+)([^#|;&>\n]*)")


def code(text: str) -> str:
    """Fenced and indented blocks, with continued lines in one."""
    fenced = "\n".join(FENCED.findall(text))
    indented = "\n".join(re.findall(r"^ {4}(.*)", text, re.MULTILINE))
    return re.sub(r"\\\n\s*", " ", f"{fenced}\n{indented}")


@functools.cache
def commands() -> dict[str, list[tuple[str, list[str]]]]:
    """By program: document and words of each command."""
    found: dict[str, list[tuple[str, list[str]]]] = {}
    for path in DOCUMENTS:
        for module, words in PROGRAM.findall(code(path.read_text())):
            found.setdefault(module, []).append((path.name, shlex.split(words)))
    return found


def anchors(path: pathlib.Path) -> set[str]:
    """The anchors that a page of this text has on the web."""
    titles = re.findall(r"^#+ (.*)", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path):
    text = FENCED.sub("", path.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name) if name else path
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("detect.md", [results.COLUMNS]),
        (
            "evaluation.md",
            [
                (
                    *score_columns.VIDEO_COLUMNS,
                    *scores.MEASURED[1:],
                    *score_columns.OPTIONAL_COLUMNS,
                ),
                (*score_columns.CHUNK_COLUMNS, *score_columns.OPTIONAL_CHUNK_COLUMNS),
            ],
        ),
        (
            "data_sets.md",
            [
                (
                    *data_set.RESULT_COLUMNS,
                    *data_set._MEDIA_COLUMNS,
                    data_set.OFFSET_COLUMN,
                )
            ],
        ),
    ],
)
def test_every_column_of_a_table_is_explained(name, tables):
    parts = (ROOT / "docs" / name).read_text().split("| column | unit | meaning |\n")
    explained = []
    for part in parts[1:]:
        rows = [
            line.strip("|").split("|")
            for line in part.partition("\n\n")[0].splitlines()[1:]
        ]
        assert all(meaning.strip() for _, _, meaning in rows)
        explained.append(
            tuple(
                column
                for names, _, _ in rows
                for column in re.findall("`(.+?)`", names)
            )
        )
    assert explained == tables


@pytest.mark.parametrize("module", sorted(commands()))
def test_commands_can_be_typed(module, request, monkeypatch):
    monkeypatch.chdir(ROOT)
    program = importlib.import_module(module)
    # Not before: what it imports has flags too.
    own_flags = request.getfixturevalue("own_flags")
    configs = flags.define(program.main)
    foreign = getattr(program, "flags_of_beam", None)
    for _, words in commands()[module]:
        own_flags.unparse_flags()
        flags.parse([module, *words], foreign)
        for config in configs.values():
            config.read()


def test_track_records_are_described_as_they_are():
    record = Example.FromString(tracks.record(tracks.video(), num_frames=30))
    text = (ROOT / "docs" / "export_and_serving.md").read_text()
    table = text.split("| feature | type | holds |\n")[1].partition("\n\n")[0]
    told = {}
    for line in table.splitlines()[1:]:
        names, kind, _ = line.strip("|").split("|", 2)
        for name in re.findall("`(.+?)`", names):
            told[name] = kind.split(",")[0].strip()
    kinds = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}
    stored = {
        name: kinds[feature.WhichOneof("kind")]
        for name, feature in record.features.feature.items()
    }
    assert told == stored
