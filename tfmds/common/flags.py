r"""Flags of programs, made from the dataclasses that hold what they set.

A setting stands once, with its default, its type and its help:

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class ServingConfig:
        data_dir: str = setting(REQUIRED, "Folder of results.", writes=FOLDER)
        port: int = setting(8501, "Port to listen on, 0 for any.", low=0, high=65535)

    def main(config: ServingConfig) -> None:
        ...

    if __name__ == "__main__":
        app.run(main)

Types are str, int, float, bool, each also `| None`, and tuple[str, ...].
"""

import dataclasses
import inspect
import itertools
import os
import pathlib
import re
import types
import typing
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Generic, TypeVar

from absl import flags as absl_flags

from tfmds.common import files, text_files
from tfmds.common.errors import InputError

# Flags belong to the module that calls `define`, whose --help shows them.
absl_flags.disclaim_key_flags()

# In place of a default: the flag must be given.
REQUIRED = dataclasses.MISSING
# What a setting names that the program writes: a file, or a folder of files.
FILE, FOLDER = "file", "folder"
# Flagfiles that are found by their names alone.
RECIPES = pathlib.Path(__file__).parents[1] / "configs"

_KEY = "tfmds.setting"
Config = TypeVar("Config")


@dataclasses.dataclass(frozen=True)
class _Setting:
    help: str
    choices: Collection[str] | Callable[[], Collection[str]] | None
    low: float | None
    high: float | None
    flag: str | None
    writes: str | None
    repeated: bool

    def bounds(self) -> str:
        """The range in words."""
        if self.high is None:
            return f"at least {self.low:g}"
        if self.low is None:
            return f"at most {self.high:g}"
        return f"a value from {self.low:g} to {self.high:g}"


def setting(
    default: Any,
    help: str,
    *,
    choices: Collection[str] | Callable[[], Collection[str]] | None = None,
    low: float | None = None,
    high: float | None = None,
    flag: str | None = "",
    writes: str | None = None,
    repeated: bool = False,
) -> Any:
    """A field of a configuration that can be set by a flag.

    Args:
      default: The value without the flag, or `REQUIRED`.
      help: What it means, for --help and for readers of the dataclass.
      choices: The words that are allowed; a function where they are known only after
        slow imports, which then are not in --help.
      low: Least value of a number.
      high: Largest value of a number.
      flag: Name of the flag where it is not the field's; None for no flag.
      writes: `FILE` or `FOLDER` where it names what the program writes. Whether it can
        be written is found out before the program begins.
      repeated: Whether a tuple is given as a flag each, not as a list with commas.
    """
    about = _Setting(help, choices, low, high, flag, writes, repeated)
    return dataclasses.field(default=default, metadata={_KEY: about})


def check(config: Any) -> None:
    """Checks choices and ranges; to be called in `__post_init__`.

    Raises:
      InputError: A value is none of its choices, or out of its range.
    """
    for field, about in _settings(type(config)):
        value = getattr(config, field.name)
        if value is None:
            continue
        choices = about.choices() if callable(about.choices) else about.choices
        if choices is not None and value not in choices:
            raise InputError(
                f"{field.name} is {value!r}, expected one of {', '.join(choices)}"
            )
        low = -float("inf") if about.low is None else about.low
        high = float("inf") if about.high is None else about.high
        if isinstance(value, int | float) and not low <= value <= high:
            raise InputError(f"{field.name} is {value}, expected {about.bounds()}")


def names(config: type) -> dict[str, str]:
    """The flag of each field that has one, by the field's name."""
    return {
        field.name: about.flag or field.name
        for field, about in _settings(config)
        if about.flag is not None
    }


def words(config: Any) -> list[str]:
    """The flags that state a configuration, without those at their defaults."""
    stated = []
    for name, flag in names(type(config)).items():
        value = getattr(config, name)
        field = type(config).__dataclass_fields__[name]
        if value == field.default or value is None:
            continue
        if isinstance(value, bool):
            stated.append(f"--{'' if value else 'no'}{flag}")
        elif not isinstance(value, tuple):
            stated.append(f"--{flag}={value}")
        elif field.metadata[_KEY].repeated:
            stated += [f"--{flag}={part}" for part in value]
        else:
            stated.append(f"--{flag}={','.join(value)}")
    return stated


class Flags(Generic[Config]):
    """The flags of a configuration: each of its fields that `setting` made.

    Other fields keep their defaults.
    """

    def __init__(self, config: type[Config]):
        """Defines them."""
        hints = typing.get_type_hints(config)
        flag_of = names(config)
        self._config = config
        self._holders = {
            field.name: _define(
                flag_of[field.name], hints[field.name], field.default, about
            )
            for field, about in _settings(config)
            if field.name in flag_of
        }

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [holder.name for holder in self._holders.values()]

    def read(self) -> Config:
        """The configuration that the command line states.

        Raises:
          InputError: The configuration does not take it.
        """
        values = {name: holder.value for name, holder in self._holders.items()}
        return self._config(
            **{
                name: tuple(value) if isinstance(value, list) else value
                for name, value in values.items()
            }
        )


def define(main: Callable[..., Any]) -> dict[str, Flags]:
    """Makes the flags of a program.

    Args:
      main: Each of its parameters is a configuration.

    Returns:
      The flags of each parameter.
    """
    hints = typing.get_type_hints(main)
    return {name: Flags(hints[name]) for name in inspect.signature(main).parameters}


_outputs: list[tuple[absl_flags.FlagHolder, str]] = []


def check_outputs() -> None:
    """Makes sure that everything flags name as output can be written.

    Raises:
      InputError: One cannot; nothing was left behind.
    """
    for holder, kind in _outputs:
        if holder.value:
            files.check_writable(holder.value, is_folder=kind == FOLDER)


def in_environment(prefix: str, defined: Iterable[Flags]) -> list[str]:
    """The words of a command line that environment variables stand for.

    Args:
      prefix: What their names begin with; the flag's name follows, in capitals.
      defined: The flags that may be set so.
    """
    found = []
    for flag in itertools.chain.from_iterable(flags.names for flags in defined):
        value = os.environ.get(f"{prefix}{flag.upper()}")
        if value is not None:
            found.append(f"--{flag}={value}")
    return found


def parse(
    argv: Sequence[str],
    foreign: Callable[[list[str]], list[str]] | None = None,
) -> tuple[list[str], list[str]]:
    """Reads the command line into the flags.

    Args:
      argv: The program and its words.
      foreign: Tells which of the words that are none of our flags belong to another
        library.

    Returns:
      The words that are no flags, and those of the other library.

    Raises:
      InputError: A flag is unknown, is missing or has a wrong value.
    """
    words = [argv[0], *expand(argv[1:])]
    others: list[str] = []
    try:
        if foreign is not None:
            others = foreign(absl_flags.FLAGS(words, known_only=True)[1:])
            absl_flags.FLAGS.unparse_flags()
            words = [word for word in words if word not in others]
        return absl_flags.FLAGS(words)[1:], others
    except absl_flags.Error as e:
        reason = "; ".join(str(e).split("\n")).strip(" .")
        raise InputError(f"{reason}. --help lists the flags") from e


def expand(words: Sequence[str], within: tuple[str, ...] = ()) -> list[str]:
    """Puts what flagfiles hold in place of each --flagfile.

    A name that is no file here is looked for among the package's own recipes.

    Args:
      words: Of a command line.
      within: The flagfiles that these words come from.

    Raises:
      InputError: There is no such file, or it is no text, or names itself.
    """
    rest = list(words)
    expanded: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*expanded, word, *rest]
        found = re.fullmatch("--?flagfile(?:=(.*))?", word, re.DOTALL)
        if found is None:
            expanded.append(word)
            continue
        name = found[1]
        if name is None:
            if not rest:
                raise InputError("--flagfile: expected the name of a file")
            name = rest.pop(0)
        expanded += _flags_in(name, within)
    return expanded


def _flags_in(name: str, within: tuple[str, ...]) -> list[str]:
    recipes = sorted(path.name for path in RECIPES.glob("*.flags"))
    path = os.path.expanduser(name)
    if not os.path.exists(path) and "://" not in path:
        if name not in recipes:
            raise InputError(
                f"--flagfile={name}: there is no such file, and no such recipe of the"
                f" package, which are {', '.join(recipes)}"
            )
        path = os.fspath(RECIPES / name)
    if path in within:
        raise InputError(f"--flagfile={name}: the file names itself")
    text = text_files.read_text(path, "a file with a flag in each line", "")
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("#", "//"))]
    return expand(lines, (*within, path))


def _settings(config: type) -> list[tuple[dataclasses.Field, _Setting]]:
    return [
        (field, field.metadata[_KEY])
        for field in dataclasses.fields(config)
        if _KEY in field.metadata
    ]


def _define(
    name: str, kind: Any, default: Any, about: _Setting
) -> absl_flags.FlagHolder:
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        (kind,) = (k for k in typing.get_args(kind) if k is not types.NoneType)
    required = default is REQUIRED
    more: dict[str, Any] = {"required": True} if required else {}
    said = f"{about.help} Required." if required else about.help
    default = None if required else default
    limits: dict[str, Any] = {"lower_bound": about.low, "upper_bound": about.high}
    holder: absl_flags.FlagHolder
    if kind is bool:
        holder = absl_flags.DEFINE_bool(name, default, said, **more)
    elif kind is int:
        holder = absl_flags.DEFINE_integer(name, default, said, **limits, **more)
    elif kind is float:
        holder = absl_flags.DEFINE_float(name, default, said, **limits, **more)
    elif typing.get_origin(kind) is tuple:
        define = (
            absl_flags.DEFINE_multi_string if about.repeated else absl_flags.DEFINE_list
        )
        value = None if default is None else list(default)
        holder = define(name, value, said, **more)
    elif kind is not str:
        raise TypeError(f"--{name}: no flag for a {kind}")
    elif about.choices is None or callable(about.choices):
        holder = absl_flags.DEFINE_string(name, default, said, **more)
    else:
        choices = list(about.choices)
        holder = absl_flags.DEFINE_enum(name, default, choices, said, **more)
    if about.writes:
        _outputs.append((holder, about.writes))
    return holder
