"""What state costs that lies in a collection: parts c (start time) and d (memory) of bench/collections/run."""

import base64
import concurrent.futures
import contextlib
import ctypes
import json
import pathlib
import random
import statistics
import sys
import tempfile
import time

import numpy
import urllib3

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "bench/coldstart"))

from calls import Function  # noqa: E402
from data import ask, settled  # noqa: E402
from harness import Server, descendants, pack, until  # noqa: E402

WIDTH = 4096  # floats a row, 16 KiB
SIZES = {"10 MB": 640, "100 MB": 6400, "1 GB": 65_536, "8 GB": 524_288}
FLAT = 1.2
BUILD = ROOT / "build/bench"

START = """
import os
from samovar import collection
if "FILMS" in os.environ:
    FILMS = collection(os.environ["FILMS"])
    FILMS.get("0")
def handler(event, context):
    return FILMS.get(event["id"]).vector[0] if "FILMS" in os.environ else float(event["id"])
"""


def fill(server, name, rows, settle):
    """So many rows of WIDTH floats; component 0 is the row's number. Goes on where an earlier run stopped."""
    there = {one["name"] for one in ask(server.endpoint, "GET", "")["collections"]}
    if name not in there:
        ask(server.endpoint, "POST", "", {"name": name, "dimension": WIDTH, "metric": "dot"})
    done = ask(server.endpoint, "GET", f"/{name}")["stats"]["rows"]
    chance, began, http = numpy.random.default_rng(6), time.perf_counter(), urllib3.PoolManager(timeout=300)
    block = chance.standard_normal((512, WIDTH), dtype=numpy.float32)
    for start in range(done, rows, len(block)):
        count = min(len(block), rows - start)
        block[:count, 0] = numpy.arange(start, start + count)
        changes = ",".join(f'{{"op":"put","id":"{start + i}","vector":"{base64.b64encode(block[i]).decode()}"}}'
                           for i in range(count))
        reply = http.request("POST", f"{server.endpoint}/samovar/v1/collections/{name}/batch", body=f'{{"changes":[{changes}]}}')
        assert reply.status == 200, reply.data[:300]
    print(f"{name}: {max(0, rows - done)} rows in {time.perf_counter() - began:.1f} s", flush=True)
    if stats := settled(server.endpoint, name, rows, settle):  # a merge takes a second copy as long as it lasts
        print(f"{name}: not in one graph after {settle:.0f} s: {stats}")


@contextlib.contextmanager
def kept_server(folder, *settings):
    """A server whose data stay in the folder for another run. It is killed, as a merge of gigabytes may be under way."""
    server = Server(*settings, expect_start=False)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        server.data_dir = folder
    server.start()
    try:
        yield server
    finally:
        server.kill9()
        server.close()


def beside_the_round(times):
    """Of {size: a time in each round}, {size: the median of its time over the middle of the same round}.

    What a host does for seconds slows a whole round, and so takes no part; a single start that met something is an outlier
    to the median.
    """
    middles = [statistics.geometric_mean(turn) for turn in zip(*times.values(), strict=True)]
    return {size: statistics.median(took / middle for took, middle in zip(found, middles)) for size, found in times.items()}


def part_c(options):
    """{"held": {promise: kept}, "seconds": {(way, size): [...]}}: from a request at zero to its reply."""
    sizes = {size: rows for size, rows in SIZES.items() if rows <= options.largest * 65_536}
    settings = ("keep_alive.policy=fixed", "keep_alive.fixed=0s", "clones.max_spares=0")
    with kept_server(options.keep, *settings) as server:
        for size, rows in sizes.items():
            fill(server, "state-" + size.replace(" ", "").lower(), rows, options.settle)
        if options.prepare:
            return {}
        package, made, times = BUILD / "state.zip", {}, {}
        package.write_bytes(pack(START))
        for way in ("fresh", "clone"):
            tags = {"samovar:clone": "off"} if way == "fresh" else {}
            for size in ["none", *sizes]:
                name = "state-" + size.replace(" ", "").lower()
                made[way, size] = Function(server, f"{way}-{name}-{int(time.time())}", package, tags=tags,
                                           environment={} if size == "none" else {"FILMS": name})
        for function in made.values():  # unmeasured: templates
            function.call(b'{"id": "1"}')
        turns = list(made.items())
        for number in range(options.rounds):
            random.Random(number).shuffle(turns)
            for (way, size), function in turns:
                function.wait("zero", **({"template": True, "spare": False} if way == "clone" else {}))
                row = random.Random(number).randrange(sizes.get(size, 640))
                began = time.perf_counter()
                reply = function.call(json.dumps({"id": str(row)}).encode())
                times.setdefault((way, size), []).append(time.perf_counter() - began)
                assert json.loads(reply) == row, (size, row, reply)
    held, beside = {}, {way: beside_the_round({size: times[way, size] for size in sizes}) for way in ("fresh", "clone")}
    print(f"\n  {'':<8}{'collection':<12}{'median ms':>11}{'least':>9}{'most':>9}{'beside its round':>18}")
    for way, size in made:
        found, part = times[way, size], beside[way].get(size)
        print(f"  {way:<8}{size:<12}{statistics.median(found) * 1e3:>11.2f}{min(found) * 1e3:>9.2f}{max(found) * 1e3:>9.2f}"
              f"{f'{part:.3f}' if part else '':>18}")
    for way, parts in beside.items():
        ratio = max(parts.values()) / min(parts.values())
        held[f"{way}: largest over smallest {ratio:.2f}, at most {FLAT}"] = ratio <= FLAT
    return {"held": held, "seconds": {f"{way}, {size}": found for (way, size), found in times.items()}}


READ_ALL = """
import time
from samovar import collection
FILMS = collection("state-1gb")
MATRIX = None
def handler(event, context):
    global MATRIX
    MATRIX = FILMS.matrix() if MATRIX is None else MATRIX
    total = sum(float(MATRIX[start:start + 4096].sum()) for start in range(0, len(MATRIX), 4096))
    end = time.monotonic() + 120
    while not FILMS.get(event["until"]) and time.monotonic() < end:  # so that no two calls meet in one instance
        time.sleep(0.05)
    return [len(MATRIX), total]
"""


def deployed(server, name, files, memory, environment=None, **tags):
    """A function with packages of PyPI, by the command."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in files.items():
            (pathlib.Path(folder) / path).write_text(text)
        server.samovar("deploy", folder, "--name", name, "--runtime", "python3.11", "--handler", "app.handler",
                       "--memory", memory, "--timeout", 300)
    lam = server.client()
    lam.update_function_configuration(FunctionName=name, Environment={"Variables": environment or {}})
    server.updated(name)
    if tags:
        lam.tag_resource(Resource=lam.get_function(FunctionName=name)["Configuration"]["FunctionArn"], Tags=tags)


def same_memory(pid):
    """Whether a process runs in its parent's address space, which would count twice (kcmp, KCMP_VM)."""
    parent = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return ctypes.CDLL(None).syscall(312, pid, parent, 1, 0, 0) == 0


def memory(server):
    """KiB of server and instances: "pss" and "rss" by smaps_rollup, "rows" of the segments that instances map, "segments" of all,
    which are twice as many while the server merges them."""
    total, segments, readers = {"pss": 0, "rss": 0}, {}, set()
    for pid in [server.process.pid, *descendants(server.process.pid)]:
        try:
            if same_memory(pid):
                continue
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().split("\n")[1:]
            parts = pathlib.Path(f"/proc/{pid}/smaps").read_text().split("\n")
            instance = pathlib.Path(f"/proc/{pid}/exe").resolve().name.startswith("python")
        except OSError:
            continue
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in rollup if line.endswith(" kB")}
        total["pss"] += sizes.get("Pss", 0)
        total["rss"] += sizes.get("Rss", 0)
        inode = None
        for line in parts:
            fields = line.split()
            if len(fields) > 4 and "-" in fields[0]:
                inode = fields[4] if "/segment-" in line else None
                if inode and instance:
                    readers.add(inode)
            elif inode and line.startswith("Pss:"):
                segments[inode] = segments.get(inode, 0) + int(fields[1])
    total["rows"] = sum(segments.get(inode, 0) for inode in readers)
    total["segments"] = sum(segments.values())
    return total


def part_d(options):
    """Memory of server and instances together when none, 1, 10 and 50 instances have read 1 GB."""
    found, rows = {}, SIZES["1 GB"]
    data, name = rows * WIDTH * 4 / 1024, f"read-{int(time.time())}"
    settings = ("keep_alive.policy=fixed", "keep_alive.fixed=600s", "clones.max_spares=0", "limits.account_concurrency=100")
    with kept_server(options.keep, *settings) as server:
        fill(server, "state-1gb", rows, options.settle)
        deployed(server, name, {"app.py": READ_ALL, "requirements.txt": "numpy==2.4.6\n"}, 256, {"OPENBLAS_NUM_THREADS": "1"})
        print(f"\n  {'instances':<12}{'PSS MB':>9}{'RSS MB':>9}{'rows that they map MB':>24}{'all segments MB':>18}")
        for count in (0, 1, 10, 50):
            release = f"go-{name}-{count}"
            with concurrent.futures.ThreadPoolExecutor(max(1, count)) as pool:
                calls = [pool.submit(server.invoke, name, {"until": release}) for _ in range(count)]
                until(lambda: sum(i["function"] == name and i["state"] == "busy"
                                  for i in server.get("/samovar/v1/instances")["instances"]) == count, 200, f"{count} at work")
                vector = base64.b64encode(bytes(4 * WIDTH)).decode()
                ask(server.endpoint, "POST", "/state-1gb/batch", {"changes": [{"op": "put", "id": release, "vector": vector}]})
                answers = [call.result() for call in calls]
            assert all(not a.error and a.payload[0] >= rows for a in answers), [a.payload for a in answers]
            found[count] = one = memory(server)
            pss, rss, mapped, segments = (one[name] / 1024 for name in ("pss", "rss", "rows", "segments"))
            print(f"  {count:<12}{pss:>9.0f}{rss:>9.0f}{mapped:>24.0f}{segments:>18.0f}", flush=True)
    held = {f"{count} instances hold {one['rows'] / data:.2f} copies of the rows, at most 1.1": one["rows"] <= 1.1 * data
            for count, one in found.items() if count}
    return {"held": held, "KiB": found, "rows_KiB": data}
