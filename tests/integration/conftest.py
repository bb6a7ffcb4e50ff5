"""One server for the whole session (`server`), and one of its own for a test that kills it (`fresh`)."""

import pathlib

import pytest

from disks import SmallDisk
from folders import sweep
from harness import BINARY, Server, unique

# The files that take longest come first, so that workers end together (with --no-loadscope-reorder).
LONGEST = ("test_ric", "test_async", "test_model_export", "test_image_pull", "test_export_examples",
           "test_collections_recall", "test_collection_kills")


def pytest_collection_modifyitems(items):
    rank = {name: at for at, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(pathlib.Path(item.path).stem, len(rank)))


def pytest_configure():
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is not there; ./check builds it", 1)
    sweep()


@pytest.fixture(scope="session")
def session_server():
    # Retries of asynchronous events come soon, so that the tests see them.
    with Server("async.retry_backoff=300ms", "grpc_listen=127.0.0.1:0") as server:
        yield server


@pytest.fixture
def server(session_server):
    yield session_server
    session_server.note()
    session_server.clients.clear()  # so that no connection is so old that the server ends it while one asks
    assert session_server.process.poll() is None, session_server.log()[-4000:]


@pytest.fixture
def lam(server):
    return server.client()


@pytest.fixture
def control(server):
    """SageMaker's control operations."""
    return server.client("sagemaker")


@pytest.fixture
def runtime(server):
    """SageMaker's calls of endpoints."""
    return server.client("sagemaker-runtime")


@pytest.fixture
def fresh():
    """Makes servers with settings of their own: fresh("limits.account_concurrency=5")."""
    made = []

    def make(*settings, **more):
        made.append(Server(*settings, **more))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def small_disk():
    """Makes file systems of so many bytes."""
    made = []

    def make(size):
        made.append(SmallDisk(size))
        return made[-1]

    yield make
    for disk in made:
        disk.remove()


@pytest.fixture
def films(server):
    """The name of an empty collection, three numbers a row."""
    made = unique("films")
    server.samovar("collections", "create", made, "--dimension", 3, "--metric", "l2")
    yield made
    server.samovar("collections", "delete", made)


@pytest.fixture
def name():
    return unique()


@pytest.fixture(scope="module")
def echo(session_server):
    """A function that answers its event, shared by a file's tests."""
    function = unique("echo")
    session_server.create(name=function)
    return function
