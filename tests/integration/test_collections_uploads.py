"""Large batches that many clients send at once: what the server has in memory for them, and afterwards."""

import concurrent.futures
import json
import pathlib
import random

from harness import descendants, until

ROOT = "/samovar/v1/collections"
MIB = 1024  # of the KiB that /proc tells


def private_memory(server):
    """KiB that the largest of the server's processes has for itself."""
    def of(pid):
        try:
            lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:  # it has ended meanwhile
            return 0
        return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)
    return max(of(pid) for pid in [server.process.pid, *descendants(server.process.pid)])


def test_the_memory_of_large_batches_is_bounded_and_given_back(fresh):
    server = fresh()
    assert server.raw("POST", ROOT, json.dumps({"name": "films", "dimension": 1024}).encode()).status == 201
    vector = [random.random() for _ in range(1024)]
    body = json.dumps({"changes": [{"op": "put", "id": f"film-{n}", "vector": vector} for n in range(1600)]}).encode()
    assert 30e6 < len(body) < 40e6
    peak = 0
    with concurrent.futures.ThreadPoolExecutor(16) as clients:
        sent = [clients.submit(server.raw, "POST", f"{ROOT}/films/batch", body) for _ in range(16)]
        while not all(one.done() for one in sent):
            peak = max(peak, private_memory(server))
            concurrent.futures.wait(sent, 0.02, concurrent.futures.FIRST_COMPLETED)
    assert [one.result().status for one in sent] == [200] * 16
    assert peak < 900 * MIB, f"{peak // MIB} MiB"
    until(lambda: private_memory(server) < 120 * MIB, 60, "memory that is given back")
