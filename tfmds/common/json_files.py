"""JSON that may have been written by hand: read, and checked against a dataclass."""

import json
import math
import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from tfmds.common import text_files
from tfmds.common.errors import InputError

Kind = TypeVar("Kind")

VERSION = "format_version"


def read(path: os.PathLike | str, what: str, hint: str) -> Any:
    """What a JSON file holds.

    Args:
      path: The file.
      what: What it should be, for the error.
      hint: What to do where it is something else, a sentence.

    Raises:
      InputError: There is no such file, or it is not JSON.
    """
    return parse(text_files.read_text(path, what, hint), path, what, hint)


def parse(text: str, where: os.PathLike | str, what: str, hint: str) -> Any:
    """What a text in JSON holds; the others as in `read`.

    Raises:
      InputError: It is not JSON; names the line.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as e:
        raise InputError(
            f"{where}, line {e.lineno}: not valid JSON, expected {what}: {e.msg}."
            f" {hint}"
        ) from e
    except (RecursionError, ValueError) as e:
        raise InputError(
            f"{where}: nested too deeply, or a number is too long, expected {what}."
            f" {hint}"
        ) from e


def read_versioned(
    path: os.PathLike | str,
    version: int,
    what: str,
    hint: str,
    needed: Collection[str] = (),
) -> dict[str, Any]:
    """`read` and `check_version` in one."""
    fields = read(path, what, hint)
    return check_version(fields, version, os.fspath(path), what, hint, needed)


def check_version(
    fields: Any,
    version: int,
    where: str,
    what: str,
    hint: str,
    needed: Collection[str] = (),
) -> dict[str, Any]:
    """Checks what JSON said of a thing whose format has a version.

    Args:
      fields: What was read.
      version: The only version that can be read.
      where: Names the source in the error.
      what: What it should be, for the error.
      hint: What to do where it is something else, a sentence.
      needed: Fields that must be there.

    Returns:
      The fields.

    Raises:
      InputError: It is something else, has another version or lacks a field.
    """
    if not isinstance(fields, Mapping) or VERSION not in fields:
        raise InputError(f"{where}: not {what} (it has no {VERSION}). {hint}")
    if fields[VERSION] != version:
        raise InputError(
            f"{where}: format version {fields[VERSION]!r} of {what}, this tfmds reads"
            f" {version}. {hint}"
        )
    if missing := [name for name in needed if name not in fields]:
        raise InputError(f"{where}: {what} lacks {', '.join(missing)}. {hint}")
    return dict(fields)


def check_finite(fields: Any, where: str, what: str, hint: str) -> None:
    """Refuses numbers that are none, which JSON has not and Python reads all the same.

    Args:
      fields: What was read.
      where: Names the source in the error.
      what: What it is, for the error.
      hint: What to do where a number is NaN or infinite, a sentence.

    Raises:
      InputError: One is; names the field.
    """
    for name, value in _numbers(fields):
        if not math.isfinite(value):
            raise InputError(
                f"{where}: {name} of {what} is {value}, expected a finite number."
                f" {hint}"
            )


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, float):
        yield name, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _numbers(part, f"{name}.{key}" if name else key)
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _numbers(part, f"{name}[{number}]")


def convert(fields: Any, kind: type[Kind], where: str, what: str, hint: str) -> Kind:
    """An instance of a dataclass from what JSON said of it.

    Types and what must be there are those of the fields; unknown fields are passed
    over.

    Args:
      fields: What was read.
      kind: The dataclass; its `__post_init__` may refuse with a ValueError.
      where: Names the source in the error.
      what: What it should be, for the error.
      hint: What to do where it is something else, a sentence.

    Raises:
      InputError: It is no such thing; names the field.
    """
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as e:
        raise InputError(f"{where}: {what} cannot be read: {e}. {hint}") from e


def differences(before: Any, now: Mapping[str, Any]) -> list[str]:
    """Says how settings differ from those that something was begun with.

    Args:
      before: The settings it was begun with, as they were read.
      now: Those asked for.

    Returns:
      A clause for each setting that differs; one that is not there is None.
    """
    before = before if isinstance(before, Mapping) else {}
    values = {name: (before.get(name), now.get(name)) for name in (*now, *before)}
    return [
        f"{name} was {_short(was, value)}, now is {_short(value, was)}"
        for name, (was, value) in values.items()
        if was != value
    ]


def check_same(
    path: os.PathLike | str,
    now: Mapping[str, Any],
    folder: os.PathLike | str,
    what: str,
    hint: str,
) -> None:
    """Refuses to go on with what was begun with other settings.

    Args:
      path: The file of the settings that it was begun with.
      now: Those asked for.
      folder: Where it is, for the error.
      what: What it is, for the error.
      hint: What to do, a sentence.

    Raises:
      InputError: They differ, or cannot be read.
    """
    before = read(path, f"the settings of {what}", hint)
    if differing := differences(before, now):
        raise InputError(
            f"{folder} holds {what} made otherwise: {'; '.join(differing)}. {hint}"
        )


def _short(value: Any, other: Any) -> str:
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        differing = [f"{k}={v}" for k, v in value.items() if v != other.get(k)]
        return ", ".join(differing) or "without it"
    if value is None:
        return "not set"
    # The whole of a digest says no more than its beginning.
    return re.sub("^([0-9a-f]{12})[0-9a-f]{52}$", r"\1", str(value))
