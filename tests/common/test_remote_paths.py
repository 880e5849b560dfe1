import importlib.util
import pickle

import pytest
from etils import epath

from tfmds.common import remote_paths
from tfmds.common.errors import InputError
from tfmds.data.data_set import DataSet


@pytest.fixture(autouse=True, scope="module")
def registered():
    remote_paths.register()


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_io") is not None,
    reason="tensorflow-io is here",
)
@pytest.mark.parametrize("scheme", ["s3", "az", "hdfs"])
def test_without_tensorflow_io_the_extra_is_named(scheme):
    with pytest.raises(InputError, match=r"needs tensorflow-io.*-e '.\[io\]'"):
        DataSet.load(f"{scheme}://name/data")


@pytest.fixture
def open_to_all(monkeypatch):
    schemes = frozenset(("s3", "az", "hdfs"))
    monkeypatch.setattr(remote_paths, "_file_systems", lambda: ("2.16.2", schemes))


@pytest.mark.usefixtures("open_to_all")
@pytest.mark.parametrize("root", ["s3://name", "az://name", "hdfs://host:9000"])
def test_paths_of_other_machines_are_paths(root):
    path = epath.Path(f"{root}/a") / "b.csv"
    assert str(path) == f"{root}/a/b.csv"
    assert str(path.parent) == f"{root}/a"
    assert path.name == "b.csv"
    assert str(path.relative_to(f"{root}/a")) == "b.csv"
    assert pickle.loads(pickle.dumps(path)) == path


@pytest.mark.usefixtures("open_to_all")
@pytest.mark.parametrize("path", ["s3://", "s3:///a", "hdfs:///a"])
def test_an_address_without_a_name_is_refused(path):
    with pytest.raises(InputError, match="expected a bucket or a host"):
        epath.Path(path)


def test_paths_of_this_machine_are_as_ever(tmp_path):
    assert not isinstance(epath.Path(tmp_path) / "a", remote_paths.RemotePath)
