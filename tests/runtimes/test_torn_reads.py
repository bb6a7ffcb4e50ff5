"""No snapshot ever mixes two batches, while readers and server are killed: a real server, readers in processes of
their own over the shared memory. Six rounds; bench/tornreads/run goes on for minutes (SAMOVAR_TORN_SECONDS)."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))

from harness import Server  # noqa: E402

ROWS, READERS, ROUNDS = 64, 3, 6
SECONDS = float(os.environ.get("SAMOVAR_TORN_SECONDS", "0"))
PATH = "/samovar/v1/collections"

# Says how many snapshots it has checked; ends with the first that is wrong.
READER = f"""
import sys
sys.path.insert(0, sys.argv[1])
import samovar
films = samovar.Collection("films", sys.argv[2])
last, checked = 0, 0
while True:
    try:
        with films.snapshot() as now:
            rows = [now.get(str(i)) for i in range({ROWS})]
            hits = now.search([0.0, 0.0], k={ROWS})
            now.check()
    except samovar.Expired:
        continue
    except samovar.CollectionError as error:
        if "is being opened" in str(error):
            continue
        sys.exit(f"a reader failed: {{error}}")
    numbers = {{row and row.attributes["number"] for row in rows}}
    vectors = {{row and row.vector[0] for row in rows[::2]}}
    if not numbers == {{hit.attributes["number"] for hit in hits}} or len(numbers) != 1 or len(hits) != {ROWS}:
        sys.exit(f"torn: generation {{now.generation}} has {{numbers}}, a search {{len(hits)}} rows")
    number = numbers.pop()
    if vectors != {{number % 1000}} or number < last:
        sys.exit(f"torn: generation {{now.generation}} has number {{number}} after {{last}}, vectors {{vectors}}")
    last, checked = number, checked + 1
    print(checked, flush=True)
"""


def batch(number):
    """All rows, each with the batch's number: half of them put anew, the others changed in place."""
    rows = []
    for i in range(ROWS):
        attributes = {"number": number}
        if i % 2 and number > 1:
            rows.append({"op": "update", "id": str(i), "attributes": attributes})
        else:
            rows.append({"op": "put", "id": str(i), "vector": [number % 1000, i], "attributes": attributes})
    return json.dumps({"changes": rows}).encode()


class Reader:
    def __init__(self, server):
        self.process = subprocess.Popen(
            [sys.executable, "-c", READER, str(ROOT / "build/release/runtimes/python/compat"), str(server.data_dir / "collections/live")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def check_some(self, count):
        for _ in range(count):
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert "torn" not in self.process.stderr.read()


class Writer(threading.Thread):
    def __init__(self, server, number):
        super().__init__()
        self.server, self.number, self.acknowledged, self.stop = server, number, number, False

    def run(self):
        while not self.stop:
            self.number += 1
            try:
                reply = self.server.raw("POST", PATH + "/films/batch", batch(self.number))
            except Exception:  # noqa: BLE001  the server was killed
                return
            if reply.status != 200:
                return
            self.acknowledged = self.number


def test_no_snapshot_mixes_two_batches_while_readers_and_server_are_killed():
    chance, end = random.Random(5), time.monotonic() + SECONDS
    with Server() as server:
        server.raw("POST", PATH, json.dumps({"name": "films", "dimension": 2, "metric": "l2"}).encode())
        assert server.raw("POST", PATH + "/films/batch", batch(1)).status == 200
        number, rounds, readers = 1, 0, [Reader(server) for _ in range(READERS)]
        while rounds < ROUNDS or time.monotonic() < end:
            rounds += 1
            writer = Writer(server, number)
            writer.start()
            for reader in readers:
                reader.check_some(chance.randint(5, 40))
            victim = chance.randrange(READERS)
            readers[victim].kill()
            readers[victim] = Reader(server)
            readers[victim].check_some(1)
            if rounds % 2:
                server.kill9()
            writer.stop = True
            writer.join()
            if rounds % 2:
                server.start()
            row = json.loads(server.raw("GET", PATH + "/films/rows/1").data)
            number = row["attributes"]["number"]
            assert writer.acknowledged <= number <= writer.acknowledged + 1
        for reader in readers:
            reader.check_some(40)
            reader.kill()
        print(f"{rounds} rounds, {number} batches of {ROWS} rows")
