"""SIGKILL in the middle of each thing that a collection does beside writing, under write load: what was acknowledged is there.
One round of each; bench/kills/run goes on for minutes (SAMOVAR_KILLS_SECONDS)."""

import base64
import json
import os
import random
import re
import struct
import threading
import time

import pytest

PATH = "/samovar/v1/collections"
SECONDS = float(os.environ.get("SAMOVAR_KILLS_SECONDS", "0"))
IDS, BATCH, DIMENSION, WRITERS = 40_000, 400, 16, 2

# The file that appears when it is under way, in which folder.
STAGES = {
    "a flush writes a segment": ("live", r"segment-\d+"),
    "a flush writes cells": ("live", r"cells-\d+\.new"),
    "a checkpoint is replaced": ("kept", r"checkpoint\.new"),
    "the next log is made": ("kept", r"next-log"),
    "a log begins": ("kept", r"log-\d+"),
    "a manifest appears": ("live", r"manifest-\d+"),
    "a graph is written": ("live", r"graph-\d+\.part"),
    "a merge's graph appears": ("live", r"graph-\d+"),
}


class Writer(threading.Thread):
    """Replaces rows of its own, each with its batch's number in attributes and vector, until the server is gone."""

    def __init__(self, server, which, model):
        super().__init__()
        self.server, self.which, self.model, self.chance = server, which, model, random.Random(time.monotonic_ns())
        self.under_way, self.stop, self.rows = None, False, 0

    def run(self):
        span = IDS // WRITERS
        while not self.stop:
            first, number = self.which * span + self.chance.randrange(span - BATCH), self.chance.randrange(1, 1 << 23)
            vector = base64.b64encode(struct.pack(f"{DIMENSION}f", *[number] + [self.chance.gauss(0, 1000) for _ in range(DIMENSION - 1)]))
            attributes = {"number": number}
            ids = range(first, first + BATCH)
            self.under_way = (ids, number)
            body = json.dumps({"changes": [{"op": "put", "id": str(i), "vector": vector.decode(), "attributes": attributes} for i in ids]})
            try:
                reply = self.server.raw("POST", PATH + "/films/batch", body.encode())
            except Exception:  # noqa: BLE001  the server was killed
                return
            if reply.status != 200:
                return
            self.model.update(dict.fromkeys(map(str, ids), number))
            self.under_way, self.rows = None, self.rows + BATCH


def names(server, folder, pattern):
    with os.scandir(server.data_dir / "collections" / folder / "films") as entries:
        return {entry.name for entry in entries if re.fullmatch(pattern, entry.name)}


def wait_for(server, folder, pattern, seconds):
    """Whether a file of that name appears that was not there."""
    before, end = names(server, folder, pattern), time.monotonic() + seconds
    while time.monotonic() < end:
        now = names(server, folder, pattern)
        if now - before:
            return True
        before &= now
        time.sleep(0.0003)
    return False


def check(server, model, under_way):
    """Each row is that of the last batch acknowledged; one that was under way is there whole or not at all."""
    found = {}
    for line in server.raw("GET", PATH + "/films/export").data.splitlines():
        row = json.loads(line)
        assert row["vector"][0] == row["attributes"]["number"], row
        found[row["id"]] = row["attributes"]["number"]
    for ids, number in under_way:
        made = {found.get(str(i)) == number for i in ids}
        assert len(made) == 1, f"half of batch {number} is there"
        if made.pop():
            model.update(dict.fromkeys(map(str, ids), number))
    assert found == model, f"{len(found.items() ^ model.items())} rows differ of {len(model)}"


@pytest.mark.timeout(300 + 2 * SECONDS)
def test_what_was_acknowledged_outlives_sigkill_at_each_stage(fresh):
    server, chance, model = fresh(), random.Random(6), {}
    server.raw("POST", PATH, json.dumps({"name": "films", "dimension": DIMENSION, "metric": "l2"}).encode())
    end, rounds, rows = time.monotonic() + SECONDS, 0, 0
    while rounds < len(STAGES) or time.monotonic() < end:
        stage = list(STAGES)[rounds % len(STAGES)]
        writers = [Writer(server, which, model) for which in range(WRITERS)]
        for writer in writers:
            writer.start()
        came = wait_for(server, *STAGES[stage], seconds=15)
        time.sleep(chance.choice([0, 0, 0.002, 0.02]))
        server.kill9()
        for writer in writers:
            writer.stop = True
            writer.join()
            rows += writer.rows
        server.start()
        opened = re.findall(r"collection films: (\d+) rows at generation (\d+), opened in ([\d.]+) ms", server.log())[-1]
        check(server, model, [w.under_way for w in writers if w.under_way])
        print(f"{stage}{'' if came else ' (did not come in time)'}: {opened[0]} rows at generation {opened[1]} after {opened[2]} ms",
              flush=True)
        rounds += 1
    assert rows > 0 and model
    print(f"{rounds} kills, {rows} rows acknowledged")
