"""Functions that try to get out, or to take what is not theirs. Each probe reports what it could do;
the test fails if that is more than nothing. A probe is Python in the function, so that the attempt is
the real one; what it must not reach is planted by the test outside.
"""

import http.server
import json
import os
import pathlib
import socket
import threading

import pytest

from harness import descendants, unique, until

# Runs the body of `probe` given in the event: the attempts differ, the function is the same.
PROBE = """
import ctypes, errno, glob, json, os, resource, signal, socket, struct, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def attempt(call, *args):
    "What a call of libc gave: its value, or the errno's name."
    ctypes.set_errno(0)
    value = call(*args)
    return value if value >= 0 else errno.errorcode.get(ctypes.get_errno(), "?")
def tried(function, *args):
    try:
        return function(*args)
    except BaseException as error:
        return type(error).__name__ + ": " + str(error)
def handler(event, context):
    scope = dict(globals(), event=event)
    exec("def run():\\n" + "\\n".join("    " + line for line in event["code"].splitlines()), scope)
    return scope["run"]()
"""


@pytest.fixture(scope="module")
def probe(session_server):
    function = unique("probe")
    session_server.create(PROBE, name=function, MemorySize=256, Timeout=60)

    def run(code, **event):
        answer = session_server.invoke(function, {"code": code, **event})
        assert answer.error == "", answer.payload
        return answer.payload

    run.function = function
    return run


def refused(result, *names):
    """An errno's name or an exception's text that says no."""
    return isinstance(result, str) and (not names or any(name in result for name in names))


NO = ("EPERM", "EACCES", "ENOSYS", "ENOENT", "EINVAL", "Permission", "not permitted", "No such", "Read-only",
      "Invalid argument")


def test_it_is_nobody_and_stays_so(probe):
    seen = probe("""
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
return {"uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(), "NoNewPrivs": status["NoNewPrivs"],
    "Seccomp": status["Seccomp"], "caps": [status[k] for k in ("CapEff", "CapPrm", "CapBnd", "CapAmb")],
    "setuid": tried(os.setuid, 0), "setgid": tried(os.setgid, 0), "chroot": tried(os.chroot, "/tmp"),
    "setgroups": tried(os.setgroups, [0])}
""")
    assert seen["uid"] != 0 and seen["gid"] != 0 and 0 not in seen["groups"], seen
    assert seen["NoNewPrivs"] == "1" and seen["Seccomp"] == "2", seen
    assert all(int(c, 16) == 0 for c in seen["caps"]), seen
    for name in ("setuid", "setgid", "chroot", "setgroups"):
        assert refused(seen[name], *NO), (name, seen[name])


def test_it_is_nobody_outside_too(server, probe):
    probe("return 1")
    own = {pid for pid in descendants(server.process.pid)
           if "samovar_runtime" in pathlib.Path(f"/proc/{pid}/cmdline").read_text()}
    assert own
    for pid in own:
        uids = next(l for l in open(f"/proc/{pid}/status") if l.startswith("Uid:")).split()[1:]
        assert "0" not in uids, (pid, uids)


def test_the_hosts_files_cannot_be_read(server, probe):
    secret = server.base / "secret.txt"
    secret.write_text("top secret")
    secret.chmod(0o644)  # the host's permissions would let it
    seen = probe("""
def read(path):
    return open(path, "rb").read(4096).decode(errors="replace")
return {path: tried(read, path) for path in event["paths"]}
""", paths=[str(secret), "/etc/shadow", "/root/.bashrc", "/root/.ssh/id_rsa", str(server.log_path), "/proc/1/root/etc/shadow", "/proc/kcore", "/dev/sda", "/dev/vda", "/dev/mem", "/proc/1/mem",
            "/var/task/../../root/.bashrc", "/sys/fs/cgroup/memory/cgroup.procs", "/run/docker.sock",
            str(server.data_dir / "CURRENT")])
    for path, result in seen.items():
        assert refused(result, "Error"), (path, result)
    # Process 1 of a clone has the clone's own memory.
    own, first = probe("return [tried(lambda p: open(p).read(), p) for p in ('/proc/self/environ', '/proc/1/environ')]")
    assert refused(first, "Error") or first == own, first


def test_the_root_shows_only_what_a_runtime_needs(probe):
    seen = probe("""
return {"root": sorted(os.listdir("/")), "mnt": tried(os.listdir, "/mnt"), "home": tried(os.listdir, "/root"), "dev": sorted(os.listdir("/dev")),
    "users": tried(os.listdir, "/home"), "var": sorted(os.listdir("/var")), "mounts": open("/proc/self/mounts").read()}
""")
    # An interpreter below a home directory (pyenv's) shows the way to itself and nothing beside it.
    assert refused(seen["home"], "Error") or set(seen["home"]) <= {".pyenv"}, seen["home"]
    assert refused(seen["users"], "Error") or set(seen["users"]) <= {"sbx_user1051"}, seen["users"]  # its own
    assert not {"work", "srv", "boot", "media"} & set(seen["root"]), seen["root"]
    assert refused(seen["mnt"], "Permission"), seen["mnt"]  # only holds the private /tmp
    assert set(seen["dev"]) <= {"null", "zero", "full", "random", "urandom", "fd", "stdin", "stdout", "stderr", "shm",
                                "tty"}, seen["dev"]
    assert set(seen["var"]) <= {"task", "runtime", "lang", "tmp", "samovar"}, seen["var"]
    for line in seen["mounts"].splitlines():
        place, options = line.split()[1], line.split()[3].split(",")
        # /usr/local is covered by an empty folder of root's, and /mnt, closed, holds the private
        # /tmp; the next test tries to write there.
        assert place in ("/tmp", "/dev/shm", "/proc", "/dev", "/usr/local", "/mnt") or place.startswith(("/dev/", "/proc/")) or \
            "ro" in options, line


@pytest.mark.parametrize("path", ["/x", "/var/task/x", "/opt/x", "/usr/x", "/usr/local/x", "/mnt/x", "/etc/x", "/var/runtime/x", "/dev/x",
                                  "/lib/x", "/proc/sys/kernel/hostname"])
def test_nothing_but_tmp_can_be_written(probe, path):
    seen = probe("""
def write(path):
    with open(path, "w") as file:
        return file.write("x")
return tried(write, event["path"])
""", path=path)
    assert refused(seen, "Error"), seen


def test_another_functions_code_cannot_be_seen(server, probe):
    other = unique("other")
    server.create({"app.py": "SECRET = 'ours'\ndef handler(e, c): return open('/var/task/mark').read()\n",
                   "mark": "marked"}, name=other)
    assert server.invoke(other).payload == "marked"
    seen = probe("""
found = []
for top, folders, files in os.walk("/"):
    if top.startswith(("/proc", "/sys")): folders[:] = []
    found += [os.path.join(top, f) for f in files if f == "mark"]
return {"found": found, "trees": tried(os.listdir, event["trees"]), "cmdlines":
    [open(p, "rb").read().decode(errors="replace") for p in glob.glob("/proc/[0-9]*/cmdline")]}
""", trees=str(server.data_dir))
    assert seen["found"] == [] and refused(seen["trees"], "Error")
    assert all(other not in line for line in seen["cmdlines"])


def test_no_process_of_others_can_be_seen_or_signalled(server, probe):
    victims = [server.process.pid, os.getpid(), *descendants(server.process.pid)]
    seen = probe("""
return {"pids": sorted(int(p) for p in os.listdir("/proc") if p.isdigit()), "me": os.getpid(),
    "kill": {str(v): tried(os.kill, v, 0) for v in event["victims"]}, "all": tried(os.kill, -1, 0),
    "prio": tried(os.setpriority, os.PRIO_PROCESS, 0, -5)}
""", victims=victims)
    assert len(seen["pids"]) < 12, seen["pids"]
    for victim, result in seen["kill"].items():
        if int(victim) not in seen["pids"]:
            assert refused(result, "ProcessLookupError", "PermissionError"), (victim, result)
    assert refused(seen["prio"], "Permission"), seen["prio"]
    assert server.process.poll() is None


DANGEROUS = {
    "ptrace": "return attempt(libc.ptrace, 16, event['pid'], 0, 0)",
    "ptrace_own_child": """
pid = os.fork()
if pid == 0:
    time.sleep(30); os._exit(0)
got = attempt(libc.ptrace, 16, pid, 0, 0)
os.kill(pid, signal.SIGKILL); os.waitpid(pid, 0)
return got""",
    "process_vm_readv": "return attempt(libc.process_vm_readv, 1, 0, 0, 0, 0, 0)",
    "mount": "return attempt(libc.mount, b'none', b'/tmp', b'tmpfs', 0, None)",
    "umount": "return attempt(libc.umount2, b'/var/task', 2)",
    "bind_mount": "return attempt(libc.mount, b'/tmp', b'/var/task', None, 4096, None)",
    "remount": "return attempt(libc.mount, b'none', b'/var/task', None, 32, None)",
    "unshare_user": "return attempt(libc.unshare, 0x10000000)",
    "unshare_mount": "return attempt(libc.unshare, 0x00020000)",
    "unshare_net": "return attempt(libc.unshare, 0x40000000)",
    "setns": "fd = os.open('/proc/self/ns/net', os.O_RDONLY)\nreturn attempt(libc.setns, fd, 0)",
    "clone_newuser": "return attempt(libc.syscall, 56, 0x10000000 | 17, 0, 0, 0, 0)",
    "pivot_root": "return attempt(libc.syscall, 155, b'/tmp', b'/tmp')",
    "bpf": "return attempt(libc.syscall, 321, 0, 0, 0)",
    "perf_event_open": "return attempt(libc.syscall, 298, bytes(128), 0, -1, -1, 0)",
    "keyctl": "return attempt(libc.syscall, 250, 0, -3, 1)",
    "add_key": "return attempt(libc.syscall, 248, b'user', b'a', b'b', 1, -2)",
    "init_module": "return attempt(libc.syscall, 175, 0, 0, b'')",
    "kexec_load": "return attempt(libc.syscall, 246, 0, 0, 0, 0)",
    "reboot": "return attempt(libc.reboot, 0)",
    "swapon": "return attempt(libc.swapon, b'/tmp/x', 0)",
    "sethostname": "return attempt(libc.sethostname, b'x', 1)",
    "settimeofday": "return attempt(libc.settimeofday, bytes(16), None)",
    "io_uring_setup": "return attempt(libc.syscall, 425, 1, bytes(120))",
    "userfaultfd": "return attempt(libc.syscall, 323, 0)",
    "mknod": "return tried(os.mknod, '/tmp/disk', 0o60666, os.makedev(8, 0))",
    "open_by_handle_at": "return attempt(libc.syscall, 304, -100, bytes(32), 0)",
    "raw_socket": "return tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).fileno())",
    "packet_socket": "return tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x300).fileno())",
    "netlink_route_write": """
s = tried(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
if isinstance(s, str): return s
s.send(struct.pack('=IHHIIBBHiII', 32, 16, 5, 1, 0, 0, 0, 0, 1, 0, 0xffffffff))  # set lo down
return 'EPERM' if struct.unpack('=i', s.recv(64)[16:20])[0] == -1 else 0""",
    "vsock": "return tried(lambda: socket.socket(40, socket.SOCK_STREAM, 0).connect((2, 1)))",
    "quotactl": "return attempt(libc.syscall, 179, 0x80000100, b'/dev/vda', 0, 0)",
    "iopl": "return attempt(libc.syscall, 172, 3)",
    "personality_read_implies_exec": "return attempt(libc.personality, 0x0400000)",
    "setsid_tty_ioctl": "import fcntl\nreturn tried(lambda: fcntl.ioctl(1, 0x5412, b'x'))",
}


@pytest.mark.parametrize("what", DANGEROUS)
def test_a_dangerous_call_is_refused(server, probe, what):
    answer = server.invoke(probe.function, {"code": DANGEROUS[what], "pid": 1})
    if answer.error:  # the filter may end the caller instead of answering it
        assert answer.payload["errorMessage"].endswith("signal: bad system call"), answer.payload
    else:
        assert isinstance(answer.payload, str), f"{what} succeeded: {answer.payload!r}"


def test_the_hosts_loopback_cannot_be_reached(server, probe):
    class Secret(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"host service")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("0.0.0.0", 0), Secret) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind(f"\0samovar-test-{os.getpid()}")
        abstract.listen()
        probe_host = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        probe_host.connect(("192.0.2.1", 9))  # no packet goes; it tells the host's own address
        address = probe_host.getsockname()[0]
        probe_host.close()
        seen = probe("""
def reach(host, port):
    with socket.create_connection((host, port), 2) as s: return "reached"
def unix(path):
    s = socket.socket(socket.AF_UNIX); s.settimeout(2); s.connect(path); return "reached"
return {"loopback": tried(reach, "127.0.0.1", event["port"]), "v6": tried(reach, "::1", event["port"]),
    "samovar": tried(reach, "127.0.0.1", event["samovar"]), "host": tried(reach, event["address"], event["port"]),
    "metadata": tried(reach, "169.254.169.254", 80), "abstract": tried(unix, "\\0" + event["abstract"]),
    "interfaces": [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line], "dns": tried(socket.gethostbyname, "example.com")}
""", port=service.server_address[1], samovar=server.port, address=address, abstract=f"samovar-test-{os.getpid()}")
        service.shutdown()
        abstract.close()
    interfaces = seen.pop("interfaces")
    assert interfaces == ["lo"], interfaces
    for target, result in seen.items():
        assert refused(result, "Error", "error", "timed out"), (target, result)


def test_a_fork_bomb_stays_in_its_pot(server, echo):
    function = unique("forks")
    server.create("""
import os, signal, time
def handler(event, context):
    pids, why = [], None
    try:
        while len(pids) < 5000:
            pid = os.fork()
            if pid == 0:
                time.sleep(60)
                os._exit(0)
            pids.append(pid)
    except BaseException as error:
        why = str(error)
    for pid in pids: os.kill(pid, signal.SIGKILL)
    for pid in pids: os.waitpid(pid, 0)
    return [len(pids), why]
""", name=function, MemorySize=3008, Timeout=60)
    count, why = server.invoke(function).payload
    assert 100 < count <= 1024 and why == "[Errno 11] Resource temporarily unavailable", (count, why)
    assert server.invoke(echo, "alive").payload == "alive"


def test_children_do_not_outlive_their_instance(server):
    function = unique("bomb")
    server.create("""
import os, time
def handler(event, context):
    for _ in range(50):
        if os.fork() == 0:
            os.setsid()
            time.sleep(600)
            os._exit(0)
    os._exit(1)
""", name=function)
    before = set(descendants(server.process.pid))
    assert server.invoke(function).payload["errorType"] == "Runtime.ExitError"

    def settled():
        new = set(descendants(server.process.pid)) - before
        return len(new) < 10

    until(settled, 60, "the end of the forked")


def test_memory_stays_in_its_bound(server, echo):
    function = unique("memory")
    server.create("""
def handler(event, context):
    held = []
    while True:
        held.append(bytearray(4 << 20))
""", name=function, MemorySize=128)
    answer = server.invoke(function, None, LogType="Tail")
    assert answer.payload["errorType"] == "Runtime.OutOfMemory"
    assert "Max Memory Used: 128 MB" in answer.log
    assert server.invoke(echo, "alive").payload == "alive"


def test_shared_memory_counts_as_memory(server):
    function = unique("shm")
    server.create("""
import mmap
def handler(event, context):
    held = mmap.mmap(-1, 512 << 20)
    for offset in range(0, 512 << 20, 4096):
        held[offset] = 1
    return "took it"
""", name=function, MemorySize=128)
    assert server.invoke(function).payload["errorType"] == "Runtime.OutOfMemory"


def test_tmp_has_its_size_and_is_private(server, probe):
    function = unique("tmp")
    server.create("""
import os
def handler(event, context):
    written = 0
    try:
        with open("/tmp/big", "wb") as file:
            while written < 2 << 30:
                written += file.write(b"x" * (1 << 20))
    except OSError as error:
        os.unlink("/tmp/big")
        return [written >> 20, error.strerror]
    return [written >> 20, None]
""", name=function, MemorySize=256, EphemeralStorage={"Size": 512}, Timeout=60)
    written, error = server.invoke(function).payload
    assert 480 <= written <= 512 and error == "No space left on device", (written, error)
    assert probe("open('/tmp/mine', 'w').write('x')\nreturn os.listdir('/tmp')") == ["mine"]
    other = unique("tmp2")
    server.create("import os\ndef handler(e, c): return os.listdir('/tmp')\n", name=other)
    assert server.invoke(other).payload == []


def test_a_spinning_function_cannot_starve_others(server, echo):
    function = unique("spin")
    server.create("""
import threading, time
def handler(event, context):
    end = time.time() + 10
    def spin():
        while time.time() < end: pass
    for _ in range(64): threading.Thread(target=spin).start()
    spin()
""", name=function, MemorySize=128, Timeout=20)
    spinning = [threading.Thread(target=server.invoke, args=(function,)) for _ in range(8)]
    for thread in spinning:
        thread.start()

    def busy():
        return sum(i["function"] == function and i["state"] == "busy" for i in server.get("/samovar/v1/instances")["instances"])

    until(lambda: busy() >= 4, 20, "the spinning instances")
    for number in range(21):
        assert server.invoke(echo, number).payload == number
    still = busy()
    for thread in spinning:
        thread.join(60)
    assert still > 0, "others had to wait until the spinning ones had ended"


def test_a_woken_function_takes_no_processor_from_work(probe):
    assert probe("return os.sched_getscheduler(0) == os.SCHED_BATCH") is True


def test_the_servers_descriptors_do_not_leak(probe):
    seen = probe("""
return {fd: os.readlink("/proc/self/fd/" + fd) for fd in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + fd)
    or True and os.path.lexists("/proc/self/fd/" + fd)}
""")
    for fd, target in seen.items():
        assert int(fd) <= 2 or target.startswith(("socket:", "/proc", "anon_inode:[eventpoll]", "pipe:")), seen
    assert sum(target.startswith("socket:") for target in seen.values()) <= 1, seen  # the channel


def test_no_secret_is_in_the_environment(server, probe):
    env = probe("return dict(os.environ)")
    text = json.dumps(env)
    assert str(server.base) not in text and "SAMOVAR_DATA_DIR" not in env, env
    assert "PYTEST" not in text


def test_a_lying_runtime_harms_only_itself(server, echo):
    """Garbage on the channel ends the instance; the server and others go on."""
    function = unique("liar")
    server.create("""
import os, socket
def handler(event, context):
    os.write(3, bytes.fromhex(event))
    time.sleep(1)
    return "after"
""", name=function)
    for garbage in ("ffffffff", "0400000063000000", "0400000012000000" * 3, "00000000", "040000001000ffff"):
        answer = server.invoke(function, garbage)
        assert answer.error == "Unhandled" or answer.payload in (None, "after"), answer.payload
    assert server.invoke(echo, "alive").payload == "alive"
