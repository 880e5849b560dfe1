"""Importing a module changes nothing in the process."""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for folder in ("tfmds", "pipelines")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
# What other packages do when they are imported is theirs: they are imported before.
_PROGRAM = """
import importlib, json, logging, os, signal, sys, threading, warnings

for name in json.loads(sys.argv[2]):
    try:
        importlib.import_module(name)
    except ImportError:
        pass

def state():
    from etils.epath import register
    return {
        "terminal": os.fstat(2)[:2],
        "environment": dict(os.environ),
        "signals": [str(signal.getsignal(s)) for s in signal.valid_signals()],
        "filters": list(map(str, warnings.filters)),
        "threads": threading.active_count(),
        "logging": [str(h) for h in logging.root.handlers] + [logging.root.level],
        "paths": sorted(register._URI_PREFIXES_TO_CLS),
        "argv": list(sys.argv),
        "limits": os.getpriority(os.PRIO_PROCESS, 0),
    }

before = state()
changed = {}
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
    after = state()
    differing = [key for key in before if before[key] != after[key]]
    if differing:
        changed[name] = {key: [str(before[key]), str(after[key])] for key in differing}
        before = after
print(json.dumps(changed))
"""


def foreign() -> list[str]:
    """The packages that our modules import, with the parts that they name."""
    import ast

    names = set()
    for module in MODULES:
        path = ROOT.joinpath(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    ours = ("tfmds", "pipelines")
    left_out = ("tensorflow_io", "torch")
    return sorted(n for n in names if n.split(".")[0] not in ours + left_out)


@pytest.mark.slow
def test_importing_changes_nothing_in_the_process():
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps(MODULES), json.dumps(foreign())],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {}
