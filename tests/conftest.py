"""What every black-box suite gets: a service of its own on a database of its own, loaded with the demo."""

import contextlib
import os
import pathlib
import shutil
import tempfile

import pytest

import cluster as clusters
from service import Service


@pytest.fixture(scope="session")
def cluster():
    """The private PostgreSQL: that of the run of ctest, or one of our own."""
    if shared := os.environ.get("UTVAG_TEST_CLUSTER"):
        yield clusters.Cluster(shared)
        return
    folder = tempfile.mkdtemp(prefix="utvag-")
    own = clusters.Cluster(pathlib.Path(folder, "cluster"))
    try:
        yield clusters.start(own.folder)
    finally:
        own.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def serving(cluster):
    """`with serving(pool=1) as service:` a service with settings of its own (UTVAG_POOL=1), and its own database."""

    @contextlib.contextmanager
    def context(**settings):
        database = cluster.clone()
        try:
            service = Service(cluster, database, **settings).start()
            try:
                yield service
            finally:
                service.stop()
        finally:
            cluster.drop(database)

    return context


@pytest.fixture(scope="module")
def service(serving):
    with serving() as running:
        yield running
