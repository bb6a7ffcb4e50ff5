"""A disk that fills up under a running server: what is refused says so, what is there is served, and once there is room all goes on."""

import json
import os
import random
import subprocess

import pytest
from botocore.exceptions import ClientError

from harness import BINARY, ROLE, clean_environment, pack, until

PATH = "/samovar/v1/collections/films"
DIMENSION, ROWS = 64, 200
FULL = "No space left on device"


@pytest.fixture
def crowded(small_disk, fresh):
    """A server whose data are on a small disk, and that disk."""
    disk = small_disk(112 << 20)
    server = fresh(expect_start=False)
    server.data_dir = disk.path / "data"
    server.start()
    return server, disk


class Rows:
    """Batches of rows, and which of them were acknowledged."""

    def __init__(self, server):
        self.server, self.kept, self.next, self.chance = server, set(), 0, random.Random(4)
        server.samovar("collections", "create", "films", "--dimension", DIMENSION, "--metric", "l2")

    def put(self):
        """The reply to the next batch."""
        ids = [str(self.next + i) for i in range(ROWS)]
        self.next += ROWS
        changes = [{"op": "put", "id": id, "vector": [self.chance.gauss(0, 1) for _ in range(DIMENSION)],
                    "attributes": {"text": "x" * 200}} for id in ids]
        reply = self.server.raw("POST", PATH + "/batch", json.dumps({"changes": changes}).encode())
        if reply.status == 200:
            self.kept.update(ids)
        return reply

    def put_until_refused(self):
        for _ in range(1000):
            reply = self.put()
            if reply.status != 200:
                return reply
        raise AssertionError("the disk did not fill up")


def test_what_a_full_disk_refuses_is_named_and_once_there_is_room_all_goes_on(crowded):
    server, disk = crowded
    rows, lam = Rows(server), server.client()
    server.create(name="before")
    assert rows.put().status == 200
    disk.fill(leave=6 << 20)
    refused = rows.put_until_refused()
    assert refused.status == 503 and FULL in json.loads(refused.data)["error"], refused.data
    disk.fill(leave=0)

    assert set(server.rows("films")) == rows.kept
    hits = server.raw("POST", PATH + "/search", json.dumps({"vector": [0.0] * DIMENSION, "k": 3}).encode())
    assert hits.status == 200 and len(json.loads(hits.data)["hits"]) == 3
    assert server.invoke("before", {"a": 1}).payload == {"a": 1}
    with pytest.raises(ClientError) as error:
        lam.create_function(FunctionName="during", Runtime=server.runtime(), Role=ROLE, Handler="app.handler",
                            Code={"ZipFile": pack({"app.py": "def handler(e, c): return e\n", "more": os.urandom(1 << 20)})})
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503, error.value
    assert rows.put_until_refused().status == 503

    disk.make_room()
    until(lambda: rows.put().status == 200, 60, "a write after room was made")
    assert rows.put().status == 200
    server.create(name="after")
    assert set(server.rows("films")) == rows.kept
    server.kill9()
    server.start()
    assert set(server.rows("films")) == rows.kept
    for name in ("before", "after"):
        assert server.invoke(name, {"a": 2}).payload == {"a": 2}
    assert rows.put().status == 200


def test_what_a_full_disk_cuts_off_of_an_export_is_an_error(server, films, small_disk, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"id": str(i), "vector": [i, 1, 2], "attributes": {"text": "x" * 200}}) + "\n" for i in range(2000)))
    server.samovar("collections", "load", films, rows)
    with open(small_disk(64 << 10).path / "films.jsonl", "wb") as out:
        done = subprocess.run([BINARY, "collections", "export", films], stdout=out, stderr=subprocess.PIPE, timeout=60,
                              env={**clean_environment(), "AWS_ENDPOINT_URL": server.endpoint})
    assert done.returncode == 2 and f"write to standard output: {FULL}" in done.stderr.decode()
