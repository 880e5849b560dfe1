"""JSON that may have been written by hand: read, and checked against a dataclass."""

import json
import os
from typing import Any, TypeVar

import msgspec

from tfmds.common import files
from tfmds.common.errors import InputError

Kind = TypeVar("Kind")


def read(path: os.PathLike | str, what: str, hint: str) -> Any:
    """What a JSON file holds.

    Args:
      path: The file.
      what: What it should be, for the error.
      hint: What to do where it is something else, a sentence.

    Raises:
      InputError: There is no such file, or it is not JSON.
    """
    text = files.read_text(path, what, hint)
    try:
        return json.loads(text)
    except json.JSONDecodeError as e:
        raise InputError(f"{path}: not JSON, expected {what}: {e}. {hint}") from e


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
