"""The same recommender with its embeddings in a collection and in Redis: part e of bench/collections/run.

Both run without isolation (isolation=process), as only so a function reaches Redis by its Unix socket, which is the
nearest that it can be; with Debian's Python, which every user may run.
"""

import contextlib
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy

from data import ask, percentile, points, put, settled
from harness import ROOT, Server, until
from state import deployed

HERE = pathlib.Path(__file__).resolve().parent
USERS, LIKES = 400, 5


@contextlib.contextmanager
def redis():
    """Debian's Redis on a Unix socket of its own, which persists nothing; answers the socket's path.

    The program knows by its name what it is to be. The package redis-server brings only that name, and a service that starts
    with the machine.
    """
    with tempfile.TemporaryDirectory(prefix="samovar-bench-") as folder:
        address = f"{folder}/redis.sock"
        process = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", address, "--unixsocketperm", "777", "--save",
                                    "", "--appendonly", "no", "--dir", folder], executable="/usr/bin/redis-check-rdb",
                                   stdout=subprocess.DEVNULL)
        try:
            pathlib.Path(folder).chmod(0o755)
            until(lambda: command(address, "PING") == b"+PONG", 20, "Redis")
            yield address
        finally:
            process.terminate()
            process.wait(20)


def command(address, *words):
    """One command on a connection of its own; the first line of the answer."""
    import socket

    with socket.socket(socket.AF_UNIX) as link, contextlib.suppress(OSError):
        link.connect(address)
        link.sendall(encoded(words))
        return link.makefile("rb").readline().strip()
    return b""


def encoded(words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def fill_redis(address, rows):
    for start in range(0, len(rows), 5000):
        piece = range(start, min(len(rows), start + 5000))
        command(address, "MSET", *[word for i in piece for word in (f"film:{i}", rows[i].tobytes())])
        command(address, "RPUSH", "films", *piece)


def fill_collection(server, rows):
    ask(server.endpoint, "POST", "", {"name": "films", "dimension": rows.shape[1], "metric": "dot"})
    for start in range(0, len(rows), 2000):
        put(server.endpoint, "films", range(start, min(len(rows), start + 2000)), rows[start:start + 2000])
    stats = settled(server.endpoint, "films", len(rows), 300)
    assert not stats, f"the films are not in one graph: {stats}"


def starts(server, name, users, rounds):
    """Seconds from a request at zero to its reply, one recommendation in it."""
    found = []
    for number in range(rounds):
        until(lambda: not [i for i in server.get("/samovar/v1/instances")["instances"] if i["function"] == name], 60, "zero")
        began = time.perf_counter()
        answer = server.invoke(name, {"users": users[number:number + 1]})
        found.append(time.perf_counter() - began)
        assert not answer.error, answer.payload
    return found


def part_e(options):
    rows = points(options.films, 2)
    chance = numpy.random.default_rng(7)
    users = [[str(i) for i in chance.integers(0, len(rows), LIKES)] for _ in range(USERS)]
    files = {name: (HERE / "recommend" / name).read_text() for name in ("app.py", "requirements.txt")}
    result = {"films": len(rows)}
    with redis() as address, Server(
            "isolation=process", "keep_alive.policy=fixed", "keep_alive.fixed=0s",
            environment={"PATH": "/usr/bin:/bin", "HOME": "/var/empty"}) as server:
        fill_redis(address, rows)
        fill_collection(server, rows)
        for source, where in (("redis", address), ("collection", "films")):
            deployed(server, source, files, 1769, {"SOURCE": source, "ADDRESS": where, "OPENBLAS_NUM_THREADS": "1"})
        answers = {}
        for name, source, exact in (("Redis", "redis", False), ("collection", "collection", False),
                                    ("collection, exact", "collection", True)):
            done = server.invoke(source, {"users": users, "exact": exact})
            assert not done.error, done.payload
            answers[name] = done.payload["answers"]
            result[name] = {"p50_us": percentile(done.payload["us"], 0.5), "p99_us": percentile(done.payload["us"], 0.99)}
        for source, name in (("redis", "Redis"), ("collection", "collection")):
            result[name]["starts_s"] = starts(server, source, users, options.rounds)
    same = [len(set(a) & set(b)) / len(a) for a, b in zip(answers["Redis"], answers["collection"])]
    result["recall"] = sum(same) / len(same)
    print(f"\n  {len(rows)} films{'':<10}{'start ms':>10}{'p50 us':>10}{'p99 us':>10}")
    for name in answers:
        one = result[name]
        start = f"{statistics.median(one['starts_s']) * 1e3:.0f}" if "starts_s" in one else ""
        print(f"  {name:<20}{start:>10}{one['p50_us']:>10.0f}{one['p99_us']:>10.0f}")
    median = {name: statistics.median(result[name]["starts_s"]) for name in ("Redis", "collection")}
    result["held"] = {
        "exact answers are those with Redis": answers["Redis"] == answers["collection, exact"],
        f"{result['recall']:.3f} of the others are, at least 0.95": result["recall"] >= 0.95,
        "a recommendation takes no longer than with Redis": result["collection"]["p50_us"] <= result["Redis"]["p50_us"],
        "a start takes no longer than with Redis": median["collection"] <= median["Redis"]}
    return result
