"""Which room may import which: tfmds and pipelines as a house without stairs up.

A room is a package of tfmds; programs and pipelines stand above them all.
"""

import ast
import collections
import functools
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# Each room with the rooms it may import, beside common and spec; the lowest first.
ROOMS = {
    "common": [],
    "spec": [],
    "data": [],
    "preprocessing": ["data"],
    "evaluation": ["data.manifest"],
    "judgement": ["data.manifest", "evaluation"],
    "reporting": ["evaluation", "judgement"],
    "models": [],
    "importing": ["models", "data"],
    "exporting": ["models", "data", "evaluation"],
    "scoring": ["exporting", "models", "data", "evaluation"],
    "detection": [
        *("exporting", "reporting", "preprocessing", "data"),
        *("evaluation", "judgement"),
    ],
    "training": [
        *("exporting", "scoring", "importing", "reporting"),
        *("models", "data", "evaluation"),
    ],
    "serving": ["detection", "exporting", "reporting"],
}
# Known faults, as room and room above or beside it; this list may only shrink.
KNOWN_ARROWS = {
    ("serving", "preprocessing"),  # the worker prepares what detection will use
}
# Heavy libraries, and what must be usable without them.
TENSORFLOW = {"tensorflow", "keras", "tensorflow_serving"}
WITHOUT_TENSORFLOW = (
    "tfmds.evaluation",
    "tfmds.judgement",
    "tfmds.reporting",
    "tfmds.data.manifest",
    "tfmds.data.data_set",
    "tfmds.data.records",
    "tfmds.preprocessing",
    "tfmds.exporting.light_model",
    "tfmds.models.run_config",
    "tfmds.exporting.picture_model",
    "tfmds.data.face_records",
)
# File names that may stand in several rooms.
SHARED_NAMES = {"__init__", "config"}


def _name(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    _name(path): path
    for wing in ("tfmds", "pipelines")
    for path in sorted((ROOT / wing).rglob("*.py"))
}


def _imports(nodes) -> set[str]:
    """What import statements among the nodes name, down to modules of ours."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where an arrow goes"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names.add(full if full in SOURCES else node.module)
    return names


@functools.cache
def _all_imports(module: str) -> set[str]:
    return _imports(ast.walk(_tree(module)))


def _tree(module: str) -> ast.Module:
    return ast.parse(SOURCES[module].read_text())


def _at_import(node: ast.AST):
    """The nodes that run when a module is imported: not the bodies of functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith(
            "TYPE_CHECKING"
        ):
            continue
        yield child
        yield from _at_import(child)


def _room(module: str) -> str:
    """The room of a module; the programs of tfmds are one, above all others."""
    wing, *parts = module.split(".")
    if wing == "pipelines":
        return wing
    return parts[0] if parts and parts[0] in ROOMS else "programs"


def _allowed(module: str, imported: str) -> bool:
    room, other = _room(module), _room(imported)
    if other == room or room == "pipelines":
        return True
    if room == "programs":
        return other != "pipelines"
    below = {"common": [], "spec": ["common"]}.get(
        room, ["common", "spec", *ROOMS[room]]
    )
    return any(f"{imported}.".startswith(f"tfmds.{name}.") for name in below)


def test_the_table_itself_has_no_stairs_up():
    seen: set[str] = set()
    for room, below in ROOMS.items():
        assert {name.split(".")[0] for name in below} <= seen, room
        seen.add(room)
    packages = {p.parent.name for p in (ROOT / "tfmds").glob("*/__init__.py")}
    assert packages | {"spec"} == set(ROOMS)


def test_no_room_imports_upwards():
    up = {
        (module, imported): (_room(module), _room(imported))
        for module in SOURCES
        for imported in _all_imports(module)
        if imported.split(".")[0] in ("tfmds", "pipelines")
        and not _allowed(module, imported)
    }
    assert not {m: rooms for m, rooms in up.items() if rooms not in KNOWN_ARROWS}
    assert set(up.values()) == KNOWN_ARROWS, "strike out what was mended"


def test_no_import_goes_in_a_circle():
    finished: set[str] = set()

    def walk(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join([*way, module])
        if module in finished:
            return
        for imported in sorted(_all_imports(module) & SOURCES.keys() - {module}):
            walk(imported, (*way, module))
        finished.add(module)

    for module in SOURCES:
        walk(module, ())


def test_file_names_stand_in_one_room_only():
    places = collections.defaultdict(list)
    for module, path in SOURCES.items():
        if path.stem not in SHARED_NAMES:
            places[path.stem].append(module)
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert not twice


def _way_to_tensorflow(module: str) -> list[str] | None:
    """The modules through which an import of this one imports TensorFlow."""
    ways = {module: [module]}
    queue = collections.deque([module])
    while queue:
        current = queue.popleft()
        for imported in sorted(_imports(_at_import(_tree(current)))):
            way = [*ways[current], imported]
            if imported.split(".")[0] in TENSORFLOW:
                return way
            # Importing a.b.c imports a and a.b as well.
            parts = imported.split(".")
            for end in range(1, len(parts) + 1):
                name = ".".join(parts[:end])
                if name in SOURCES and name not in ways:
                    ways[name] = way
                    queue.append(name)
    return None


@pytest.mark.parametrize("start", WITHOUT_TENSORFLOW)
def test_videos_are_read_and_scores_judged_without_tensorflow(start):
    modules = [m for m in SOURCES if f"{m}.".startswith(f"{start}.")]
    assert modules
    assert not [way for m in modules if (way := _way_to_tensorflow(m))]
    # The walk does find TensorFlow where it is.
    assert _way_to_tensorflow("tfmds.scoring.scorer")


def test_models_are_written_in_keras_alone():
    found = {
        (module, imported)
        for module in SOURCES
        if _room(module) == "models"
        for imported in _all_imports(module)
        if imported.split(".")[0] in TENSORFLOW - {"keras"} | {"torch", "jax"}
    }
    assert not found


def test_tfmds_itself_holds_programs_spec_and_rooms():
    files = {p.stem for p in (ROOT / "tfmds").glob("*.py")} - {"__init__", "spec"}
    strangers = [
        name
        for name in sorted(files)
        if 'if __name__ == "__main__":' not in SOURCES[f"tfmds.{name}"].read_text()
    ]
    assert not strangers


def test_programs_are_flags_a_configuration_and_one_call():
    lines = {
        module: len(path.read_text().splitlines())
        for module, path in SOURCES.items()
        if _room(module) in ("programs", "pipelines")
        and "    app.run(main" in path.read_text()
    }
    assert "pipelines.demo" in lines
    assert not {module: count for module, count in lines.items() if count >= 100}
