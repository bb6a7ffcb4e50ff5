"""What a function tries that wants to harm a collection: by descriptor, by memory, by locks and by name."""

import json

from harness import unique

ROOT_PATH = "/samovar/v1/collections"
# Each attempt answers how it was refused, or "done" where it was not.
BY_DESCRIPTOR = """
import ctypes, fcntl, mmap, os
from samovar import collection
LIBC = ctypes.CDLL(None, use_errno=True)
def attempt(what):
    try:
        what()
        return "done"
    except OSError as error:
        return error.strerror
    except ValueError as error:
        return str(error)
def protect(first, last):
    LIBC.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if LIBC.mprotect(first, last - first, 3) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def handler(event, context):
    films = collection(event["name"])
    kept = films.snapshot()
    kept.get("a")
    tried, count = {}, 0
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            path = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        if not path.startswith("/var/samovar/collection"):
            continue
        count += 1
        size = os.fstat(fd).st_size
        name = os.path.basename(path).split("-")[0]
        for what, call in {
                "reopen": lambda: os.open(f"/proc/self/fd/{fd}", os.O_RDWR), "write": lambda: os.pwrite(fd, b"x", 0),
                "truncate": lambda: os.ftruncate(fd, 0), "map": lambda: mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_WRITE),
                "allocate": lambda: os.posix_fallocate(fd, 0, size + 1), "mode": lambda: os.fchmod(fd, 0o777),
                "owner": lambda: os.fchown(fd, os.getuid(), -1), "times": lambda: os.utime(f"/proc/self/fd/{fd}"),
                "link": lambda: os.link(f"/proc/self/fd/{fd}", "/tmp/link", follow_symlinks=True)}.items():
            tried[f"{name} {what}"] = attempt(call)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # and never lets go
    for line in open("/proc/self/maps"):
        if "/var/samovar/collection" in line:
            first, last = (int(part, 16) for part in line.split(" ")[0].split("-"))
            tried["protect " + line.split("/")[-1].split("-")[0].strip()] = attempt(lambda: protect(first, last))
            if event.get("crash"):
                ctypes.memset(first, 0, 64)
    return [count, tried]
"""
BY_NAME = """
import os
import samovar
def handler(event, context):
    tried = {}
    for name in event["names"]:
        for folder in (None, "/", "/var/samovar", "/proc/1/root/var/samovar/collections", "/tmp"):
            try:
                tried[f"{name} in {folder}"] = len(samovar.Collection(name, folder))
            except (samovar.NotFound, ValueError) as error:
                pass
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for kind in ("root/var/samovar", "cwd", "fd"):
            try:
                found = os.listdir(f"/proc/{pid}/{kind}")
                if kind != "fd" and event["secret"] in str(found):
                    tried[f"{pid} {kind}"] = found
            except OSError:
                pass
    return tried
"""


def make(server, rows):
    name = unique("films")
    for path, body, status in [("", {"name": name, "dimension": 2, "metric": "l2"}, 201), (f"/{name}/batch", {"changes": rows}, 200)]:
        reply = server.raw("POST", ROOT_PATH + path, json.dumps(body).encode())
        assert reply.status == status, reply.data
    return name


def put(server, name, id, value):
    changes = [{"op": "put", "id": id, "vector": [value, 0]}]
    reply = server.raw("POST", f"{ROOT_PATH}/{name}/batch", json.dumps({"changes": changes}).encode())
    assert reply.status == 200, reply.data


def vector(server, name, id):
    return json.loads(server.raw("GET", f"{ROOT_PATH}/{name}/rows/{id}").data)["vector"]


def test_no_descriptor_and_no_memory_of_a_reader_can_be_written(server):
    films = make(server, [{"op": "put", "id": "a", "vector": [1, 2]}])
    function = unique("hostile")
    server.create(BY_DESCRIPTOR, name=function, Timeout=30)
    count, tried = server.invoke(function, {"name": films}).payload
    assert count >= 3 and {"control", "segment", "live"} <= {key.split(" ")[0] for key in tried}, tried
    assert "done" not in tried.values(), tried
    assert "protect segment" in tried and "protect control" in tried, tried
    # Writing to what is mapped ends the function and nothing else.
    crashed = server.invoke(function, {"name": films, "crash": True})
    assert crashed.error and crashed.payload["errorType"] == "Runtime.ExitError", crashed.payload
    assert vector(server, films, "a") == [1, 2]
    assert server.invoke(function, {"name": films}).payload[0] >= 3


def test_a_reader_that_locks_what_it_may_holds_no_writer_up(server):
    """Locks that it never gives back, while segments are sealed and replaced."""
    films = make(server, [{"op": "put", "id": "a", "vector": [1, 2]}])
    function = unique("locks")
    server.create(BY_DESCRIPTOR, name=function, Timeout=30)
    assert not server.invoke(function, {"name": films}).error
    for number in range(5):
        put(server, films, "a", number)
        server.create(name=unique("pins"), Tags={"samovar:collections": f"{films}:r@pinned"}, Publish=True)  # which seals
        put(server, films, "b", number)
        assert vector(server, films, "a") == [number, 0] and vector(server, films, "b") == [number, 0]
        assert not server.invoke(function, {"name": films}).error


def test_other_collections_cannot_be_reached_by_any_name(server):
    secret, shown = (make(server, [{"op": "put", "id": "a", "vector": [1, 2]}]) for _ in range(2))
    function = unique("names")
    server.create(BY_NAME, name=function, Timeout=30, Tags={"samovar:collections": shown})
    names = [secret, f"../{secret}", f"0/../../{secret}", f"/var/samovar/collections/{secret}", f"{secret}@1", ".", "..", "",
             f"{shown}/../{secret}", f"../live/{secret}", "0\0", f"../kept/{secret}", f"%2e%2e/{secret}", f"{shown}\0{secret}"]
    answer = server.invoke(function, {"names": names, "secret": secret})
    assert not answer.error and answer.payload == {}, answer.payload
