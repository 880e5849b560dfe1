"""Importing a module changes nothing in the process."""

import ast
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


def _path(module: str) -> pathlib.Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imports_in(function: ast.AST, lines: list[str]) -> list[str]:
    """Imports in a function above which no comment stands, but other imports may."""
    found = [
        n for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom)
    ]
    ends = {node.end_lineno for node in found}
    silent = []
    for node in found:
        line = node.lineno
        while line - 1 in ends:
            line -= 1
        if not lines[line - 2].strip().startswith("#"):
            silent.append(ast.unparse(node))
    return silent


def test_imports_in_functions_say_why():
    """`main` of a program need not: `app.run` tells why its imports stand there."""
    silent = {}
    for module in MODULES:
        text = _path(module).read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                is_program = node.name == "main" and "    app.run(main" in text
                if not is_program and (found := _imports_in(node, text.splitlines())):
                    silent[f"{module}.{node.name}"] = found
    assert not silent


def foreign() -> list[str]:
    """The packages that our modules import, with the parts that they name."""
    names = set()
    for module in MODULES:
        for node in ast.walk(ast.parse(_path(module).read_text())):
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
