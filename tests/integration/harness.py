"""A real server, and real clients to it.

Server starts `build/release/samovar serve` on a free port with a data directory of its own, and stop()
fails when a process, mount or cgroup of it is left. Everything waits by asking again, with a deadline.
"""

import base64
import contextlib
import importlib.util
import io
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import threading
import time
import uuid
import zipfile

import boto3
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from folders import Folder

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("SAMOVAR_BINARY", ROOT / "build/release/samovar"))
ROLE = "arn:aws:iam::000000000000:role/any"
REGION, ACCOUNT = "us-east-1", "000000000000"
DUMMY = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
ECHO = "def handler(event, context):\n    return event\n"
HTTP = urllib3.PoolManager(maxsize=64, retries=False, timeout=urllib3.Timeout(connect=10, read=120))


def until(ask, seconds=60.0, what="the awaited state"):
    """Asks again until the answer is true; answers it. Fails after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < end, f"{what} did not come within {seconds} s (last: {answer!r})"
        time.sleep(0.02)


def bench(folder):
    """bench/FOLDER/run.py as a module, under a name of its own: each folder there has one."""
    spec = importlib.util.spec_from_file_location(f"bench_{folder}", ROOT / "bench" / folder / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def disk_of_packages(server):
    """Bytes that the packages which a server keeps take, each inode once."""
    seen = {}
    for folder, _, names in os.walk(server.data_dir / "packages"):
        for name in names:
            about = os.lstat(os.path.join(folder, name))
            seen[about.st_ino] = about.st_blocks * 512
    return sum(seen.values())


def free_port(host="127.0.0.1"):
    """One that the kernel gives to no client's connection, so that it stays free also while its server restarts."""
    lowest = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(10_000, lowest) if lowest > 12_000 else 0
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return probe.getsockname()[1]


def unique(stem="f"):
    return f"{stem}-{uuid.uuid4().hex[:10]}"


def pack(files):
    """A zip of {name: text or bytes}; a name that ends in `*` is executable."""
    if isinstance(files, (str, bytes)):
        files = {"app.py": files}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name.rstrip("*"), (2026, 1, 1, 0, 0, 0))
            entry.external_attr = (0o755 if name.endswith("*") else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return out.getvalue()


def arn(name, qualifier=None):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}" + (f":{qualifier}" if qualifier else "")


class Answer:
    """What an Invoke gave: payload (parsed), status, error ("" or "Unhandled"), log, version."""

    def __init__(self, raw):
        body = raw["Payload"].read()
        self.raw, self.body, self.status = raw, body, raw["StatusCode"]
        self.payload = json.loads(body) if body else None
        self.error, self.version = raw.get("FunctionError", ""), raw.get("ExecutedVersion")
        self.log = base64.b64decode(raw.get("LogResult", "")).decode(errors="replace")
        self.request_id = raw["ResponseMetadata"]["RequestId"]


def parent_and_start(pid):
    """(parent, start): the start tells a process from a later one of the same id; None where there is none (or a zombie)."""
    try:  # no pathlib: after each test all processes of the host are asked
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            fields = file.read(4096).rpartition(b")")[2].split()
    except OSError:
        return None
    return (int(fields[1]), fields[19]) if fields and fields[0] != b"Z" else None


def starttime(pid):
    return (parent_and_start(pid) or (None, None))[1]


def descendants(pid):
    children = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        if found := parent_and_start(entry):
            children.setdefault(found[0], {})[int(entry)] = found[1]
    found, todo = {}, [pid]
    while todo:
        for child, start in children.get(todo.pop(), {}).items():
            if child not in found:
                found[child] = start
                todo.append(child)
    return found


class Server:
    def __init__(self, *settings, listen="127.0.0.1:0", environment=None, expect_start=True):
        self.folder = Folder()
        base = self.base = self.folder.path
        self.data_dir, self.log_path = base / "data", base / "server.log"
        self.settings, self.environment = list(settings), environment or {}
        self.listen, self.process, self.seen, self.cgroups, self.hierarchies = listen, None, {}, set(), set()
        self.endpoint = "http://127.0.0.1:1"  # until it has started
        self.clients, self.making = {}, threading.Lock()
        if expect_start:
            self.start()

    # --- life
    def start(self):
        host, port = self.listen.rsplit(":", 1)
        if port == "0":  # after a restart the same port again, so that clients find it
            self.listen = f"{host}:{free_port(host)}"
        self.port = int(self.listen.rsplit(":", 1)[1])
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.clients.clear()
        settings = [part for pair in self.settings for part in ("--set", pair)]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--listen", self.listen, "--data-dir", self.data_dir, *settings],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/",
                env={**clean_environment(), **self.environment})
        until(self.healthy, 60, "the server's health")

    def healthy(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()[-4000:]}")
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return HTTP.request("GET", self.endpoint + "/samovar/v1/health").status == 200
        return False

    def note(self):
        """Remembers the processes and cgroups that are there now; the processes of before that have ended are forgotten."""
        self.seen = dict(self.leftover_processes()) | descendants(self.process.pid)
        for pid in self.seen:
            with contextlib.suppress(OSError):
                for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
                    _, hierarchy, path = line.split(":", 2)
                    if found := re.search(r"(samovar-[0-9a-f]+)", path):
                        self.cgroups.add(found[1])
                        if "samovar-" in hierarchy:  # one of its own, which every process of the host is in
                            self.hierarchies.add(hierarchy)

    def stop(self, seconds=120):
        """SIGTERM; the server ends well, and nothing of it stays."""
        self.note()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self.check_nothing_left()
        assert code == 0, f"the server ended with {code}:\n{self.log()[-4000:]}"

    def kill9(self):
        """SIGKILL to the server and all it is made of, as a power cut has it."""
        self.note()
        for pid, start in [(self.process.pid, starttime(self.process.pid)), *self.seen.items()]:
            if start and starttime(pid) == start and is_samovar(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait(60)
        until(lambda: not self.leftover_processes(), 60, "the end of the killed server's processes")

    def leftover_processes(self):
        return [(pid, start) for pid, start in self.seen.items() if starttime(pid) == start]

    def leftovers(self):
        mounts = [line for line in open("/proc/self/mountinfo") if str(self.base) in line]
        # os.walk passes over what goes away meanwhile, such as another server's groups.
        groups = [os.path.join(folder, name) for folder, names, _ in os.walk("/sys/fs/cgroup") for name in names
                  if name in self.cgroups]
        own = pathlib.Path("/proc/self/cgroup").read_text()
        hierarchies = [name for name in self.hierarchies if f":{name}:" in own]
        return self.leftover_processes() + mounts + groups + hierarchies

    def check_nothing_left(self):
        until(lambda: not self.leftovers(), 60, f"an end without leftovers ({self.leftovers()})")

    def close(self):
        if self.process and self.process.poll() is None:
            self.stop()
        self.folder.remove()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind and self.process.poll() is None:
            self.kill9()
            print(self.log()[-4000:])
        else:
            self.close()

    def log(self):
        return self.log_path.read_text(errors="replace")

    # --- clients
    def client(self, service="lambda", parameter_validation=True, **more):
        """One for all who ask for the same: to make one takes boto3 as long as some calls."""
        kind = (service, parameter_validation, *sorted(more.items()))
        with self.making:  # boto3 makes no two at once
            if kind not in self.clients:
                config = Config(retries={"max_attempts": 0}, read_timeout=120, max_pool_connections=128,
                                parameter_validation=parameter_validation)
                self.clients[kind] = boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, config=config,
                                                  **{**DUMMY, **more})
            return self.clients[kind]

    def get(self, path):
        reply = HTTP.request("GET", self.endpoint + path)
        assert reply.status == 200, (path, reply.status, reply.data)
        return json.loads(reply.data)

    def raw(self, method, path, body=b"", headers=None):
        return HTTP.request(method, self.endpoint + path, body=body, headers=headers or {})

    def samovar(self, *args, check=True, stdin=b"", cwd=None, **environment):
        return run([BINARY, *map(str, args)], check=check, stdin=stdin, cwd=cwd,
                   AWS_ENDPOINT_URL=self.endpoint, **environment)

    def rows(self, collection):
        """All rows of a collection by their ids, as the command exports them."""
        return {row["id"]: row for row in map(json.loads, self.samovar("collections", "export", collection).out.splitlines())}

    def aws(self, *args, check=True):
        return run([ROOT / ".venv/bin/aws", *map(str, args)], check=check, **AWS_ENV,
                   AWS_ENDPOINT_URL=self.endpoint)

    # --- functions
    def runtime(self, family="python"):
        """The newest usable runtime of a family: python3.x or nodejsNN.x."""
        names = [r["name"] for r in self.get("/samovar/v1/runtimes")["runtimes"]]
        ours = [n for n in names if n.startswith(family)]
        assert ours, f"the server finds no {family}: {names}"
        return max(ours, key=lambda n: [int(p) for p in re.findall(r"\d+", n)])

    def create(self, code=ECHO, name=None, runtime=None, handler="app.handler", **more):
        name = name or unique()
        made = self.client().create_function(**{
            "FunctionName": name, "Runtime": runtime or self.runtime(), "Role": ROLE,
            "Handler": handler, "Code": {"ZipFile": pack(code)}, "Timeout": 10, **more})
        self.active(name)
        return made

    def active(self, name):
        self.client().get_waiter("function_active_v2").wait(
            FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})

    def updated(self, name):
        self.client().get_waiter("function_updated_v2").wait(
            FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})

    def invoke(self, name, event=None, **more):
        return Answer(self.client().invoke(FunctionName=name, Payload=json.dumps(event), **more))

    def sign(self, method, url, body=b"", headers=None, key="any", secret="any", when=None):
        """Headers for a SigV4-signed request."""
        request = AWSRequest(method, url, data=body, headers=headers or {})
        SigV4Auth(Credentials(key, secret), "lambda", REGION).add_auth(request)
        return dict(request.headers)


AWS_ENV = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": REGION,
           "AWS_PAGER": "", "AWS_CLI_AUTO_PROMPT": "off"}


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SAMOVAR_"))}


def run(command, check=True, stdin=b"", cwd=None, **environment):
    done = subprocess.run(command, input=stdin, capture_output=True, cwd=cwd, timeout=240,
                          env={**clean_environment(), **environment})
    done.out, done.err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.out}\n{done.err}"
    return done


def is_samovar(pid):
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/exe").split(" (deleted)")[0] == str(BINARY.resolve())
    return False
