"""Paths on other machines: s3://, az:// and hdfs://, through tensorflow-io.

All of our paths go through `etils.epath`, which `register` teaches these. Programs do
it when they start; who calls the library with such paths calls it once before.
"""

import atexit
import contextlib
import ctypes
import functools
import os
import warnings

from etils import epath
from etils.epath import backend, gpath

from tfmds.common.errors import InputError


class RemotePath(gpath.PosixGPath):
    """A path of s3:// or az://.

    Raises:
      InputError: tensorflow-io is not there or does not go with this TensorFlow.
    """

    def __new__(cls, *parts: os.PathLike | str) -> "RemotePath":
        """Makes sure that TensorFlow can open what the path names."""
        path = os.fspath(parts[0]) if parts else ""
        if "://" in path:
            _check(path, *path.split("://", 1))
        return super().__new__(cls, *parts)


class HdfsPath(RemotePath):
    """A path of hdfs://, which etils does not know."""

    @property
    def _uri_scheme(self) -> str | None:
        return "hdfs" if self.parts[:1] == ("hdfs:",) else None

    @property
    def _backend(self) -> backend.Backend:
        return backend.tf_backend

    @property
    def _path_str(self) -> str:
        if self._uri_scheme is None:
            return super()._path_str
        return "hdfs://" + "/".join(self.parts[1:])


@functools.cache
def register() -> None:
    """Lets `epath.Path` understand s3://, az:// and hdfs:// in this process."""
    epath.register_path_cls(("s3://", "az://"))(RemotePath)
    epath.register_path_cls("hdfs://")(HdfsPath)


def _check(path: str, scheme: str, rest: str) -> None:
    if not rest.strip("/") or rest.startswith("/"):
        raise InputError(
            f"{path}: expected a bucket or a host after {scheme}://, such as"
            f" {scheme}://NAME/folder"
        )
    version, schemes = _file_systems()
    if scheme not in schemes:
        raise InputError(
            f"{path}: {scheme}:// needs tensorflow-io, whose last release goes with"
            f" TensorFlow 2.16; here is {version}. Install both into an environment of"
            " its own: pip install -e '.[io]'"
        )


@functools.cache
def _file_systems() -> tuple[str, frozenset[str]]:
    """TensorFlow's version, and what it can open with tensorflow-io's help."""
    # TensorFlow starts in seconds: only who names such a path waits for it.
    import tensorflow as tf

    # With another TensorFlow it warns or fails, and what it should add is missing.
    failures = (ImportError, RuntimeError, NotImplementedError, AttributeError)
    with warnings.catch_warnings(), contextlib.suppress(*failures):
        warnings.simplefilter("ignore")
        # Of the extra `io`.
        import tensorflow_io  # noqa: F401

        atexit.register(_end_without_destructors)
    return tf.__version__, frozenset(tf.io.gfile.get_registered_schemes())


def _end_without_destructors() -> None:
    """Lets the process end with its exit code.

    The client of tensorflow-io for s3:// takes itself down in the wrong order at the
    end ("pure virtual method called"), and a program that did its work would abort.
    """
    libc = ctypes.CDLL(None)
    # Called first of what C++ has to do at the end, with the exit code; not everywhere.
    if hasattr(libc, "on_exit"):
        libc.on_exit(libc._exit, None)
