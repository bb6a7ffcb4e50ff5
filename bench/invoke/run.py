#!/usr/bin/env python3
"""Warm invocation, side by side: bench/invoke/run [--rounds N] [--seconds S] [--only NAME]...

Echo functions through Samovar's Invoke API (Python, Node.js, and a C++ bootstrap for `provided`), beside
bare Starlette and FastAPI echoes (uvicorn, uvloop, httptools, one worker), the AWS Runtime Interface
Emulator, and nginx with a static file as the ceiling. All run at the same time on this machine, idle but
for the one measured; rounds go through all of them in turn, so that a slow minute hits each alike. The
medians over the rounds are printed, and written to build/bench/invoke.json.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build/bench"
SAMOVAR = pathlib.Path(os.environ.get("SAMOVAR_BINARY", ROOT / "build/release/samovar"))
RIE = "github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie@v0.0.0-20261030222936-bef5c4ba774d"
CONNECTIONS = (1, 16)
sys.path.insert(0, str(ROOT / "tests/integration"))


def quiet(*command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def python311():
    for folder in os.environ["PATH"].split(":") + ["/usr/bin"]:
        candidate = pathlib.Path(folder, "python3.11")
        if candidate.exists() and not subprocess.run([candidate, "-c", "import ensurepip"], capture_output=True).returncode:
            return candidate
    sys.exit("no python3.11 with ensurepip on PATH")


def prepare_python():
    venv, stamp, wanted = BUILD / "venv", BUILD / "venv.txt", (HERE / "requirements.txt").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        print("installing Starlette, FastAPI, uvicorn and the Lambda client for Python ...", flush=True)
        shutil.rmtree(venv, ignore_errors=True)
        quiet(python311(), "-m", "venv", venv)
        quiet(venv / "bin/pip", "install", "--disable-pip-version-check", "--require-hashes", "-r",
              HERE / "requirements.txt")
        stamp.write_text(wanted)
    return venv / "bin"


def prepare_emulator():
    """The path of aws-lambda-rie, or why there is none."""
    program = BUILD / "bin/aws-lambda-rie"
    if program.exists():
        return program, None
    if not shutil.which("go"):
        return None, "no Go here; it needs 1.25 or newer"
    print("building the AWS Runtime Interface Emulator (go install, some minutes) ...", flush=True)
    done = subprocess.run(["go", "install", RIE], capture_output=True, text=True,
                          env={**os.environ, "GOBIN": str(program.parent), "GOFLAGS": "-modcacherw"})
    return (program, None) if done.returncode == 0 else (None, "go install failed: " + done.stderr.strip()[-200:])


class Contestant:
    def __init__(self, name, url, script="post.lua", connections=CONNECTIONS):
        self.name, self.url, self.script, self.connections = name, url, script, connections
        self.runs = {c: [] for c in connections}

    def call(self, body):
        request = urllib.request.Request(self.url, body if self.script == "post.lua" else None,
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.read()

    def wait(self, seconds=30):
        end = time.monotonic() + seconds
        while True:
            try:
                return self.call(b"{}")
            except OSError as error:
                if time.monotonic() > end:
                    sys.exit(f"{self.name} at {self.url} does not answer: {error}")
                time.sleep(0.05)

    def check(self, dice):
        """Every answer is the event: numbers, text beyond ASCII, nesting, and 200 KB."""
        if self.script != "post.lua":
            return
        for size in [0, 1, 10, 100, 10_000, 200_000] + [dice.randrange(2000) for _ in range(60)]:
            event = {"n": dice.random(), "list": [dice.randrange(-9, 9) for _ in range(5)], "nested": {"a": [None, True]},
                     "text": "".join(dice.choices("abcü😀\"\\\n", k=size))}
            answer = json.loads(self.call(json.dumps(event).encode()))
            if answer != event:
                sys.exit(f"{self.name} answers {str(answer)[:200]} to {str(event)[:200]}")

    def measure(self, connections, seconds):
        out = quiet("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", HERE / self.script, self.url)
        line = next(l for l in out.splitlines() if l.startswith("JSON "))
        run = json.loads(line[5:])
        run["rate"] = run["requests"] / (run["microseconds"] / 1e6)
        if run["wrong"]:
            sys.exit(f"{self.name}: {run['wrong']} failed requests at {connections} connections")
        self.runs[connections].append(run)

    def median(self, connections, what):
        return statistics.median(run[what] for run in self.runs[connections])


@contextlib.contextmanager
def process(*command, **more):
    log = open(BUILD / f"{pathlib.Path(str(command[0])).name}.log", "wb")
    child = subprocess.Popen([str(c) for c in command], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                             start_new_session=True, **more)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)


def samovar(stack):
    from harness import Server
    server = stack.enter_context(Server())
    bootstrap = BUILD / "bootstrap"
    quiet("clang++-19", "-std=c++23", "-O2", "-static", "-o", bootstrap, HERE / "provided/bootstrap.cc")
    made = [("python", server.runtime("python3.11") if has(server, "python3.11") else server.runtime(), "app.handler",
             {"app.py": (HERE / "python/app.py").read_text()}),
            ("node", server.runtime("nodejs"), "index.handler", {"index.mjs": (HERE / "node/index.mjs").read_text()}),
            ("provided", "provided.al2023", "any", {"bootstrap*": bootstrap.read_bytes()})]
    found = []
    for family, runtime, handler, files in made:
        server.create(files, name=f"echo-{family}", runtime=runtime, handler=handler, MemorySize=1769)
        label = {"python": f"Samovar, {runtime}", "node": f"Samovar, {runtime}", "provided": "Samovar, C++ bootstrap"}
        found.append(Contestant(label[family], f"{server.endpoint}/2015-03-31/functions/echo-{family}/invocations"))
    return found


def has(server, runtime):
    return runtime in [r["name"] for r in server.get("/samovar/v1/runtimes")["runtimes"]]


def uvicorn(stack, bin_, module, label):
    port = free_port()
    stack.enter_context(process(bin_ / "uvicorn", f"{module}:app", "--port", port, "--loop", "uvloop", "--http", "httptools",
                                "--workers", 1, "--no-access-log", "--log-level", "warning", cwd=HERE))
    return Contestant(label, f"http://127.0.0.1:{port}/")


def emulator(stack, bin_):
    program, reason = prepare_emulator()
    if program is None:
        return None, reason
    port, api = free_port(), free_port()
    stack.enter_context(process(
        program, "--runtime-interface-emulator-address", f"127.0.0.1:{port}", "--runtime-api-address", f"127.0.0.1:{api}",
        bin_ / "python", "-m", "awslambdaric", "app.handler", cwd=HERE / "python",
        env={**os.environ, "PYTHONPATH": str(HERE / "python"), "AWS_LAMBDA_FUNCTION_TIMEOUT": "900", "LOG_LEVEL": "error"}))
    return Contestant("AWS emulator, Python", f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations",
                      connections=(1,)), None


def nginx(stack, folder):
    port = free_port()
    (folder / "echo.json").write_text('{"instances": [[1, 2.5, 3, 4]], "name": "echo", "ok": true}')
    folder.chmod(0o755)
    (folder / "nginx.conf").write_text(f"""
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; keepalive_requests 100000000; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; root {folder}; }} }}
""")
    stack.enter_context(process(shutil.which("nginx") or "/usr/sbin/nginx", "-c", folder / "nginx.conf"))
    return Contestant("nginx, static file", f"http://127.0.0.1:{port}/echo.json", "get.lua")


def table(contestants, base):
    print(f"\n  {'':<24}{'1 connection':^30}{'16 connections':^30}")
    print(f"  {'':<24}{'req/s':>9}{'p50 us':>9}{'p99 us':>9}   {'req/s':>9}{'p50 us':>9}{'p99 us':>9}{'x Starlette':>13}")
    for c in contestants:
        cells = f"{c.median(1, 'rate'):>9,.0f}{c.median(1, 'p50'):>9,.0f}{c.median(1, 'p99'):>9,.0f}   "
        if 16 in c.connections:
            cells += f"{c.median(16, 'rate'):>9,.0f}{c.median(16, 'p50'):>9,.0f}{c.median(16, 'p99'):>9,.0f}"
            cells += f"{c.median(16, 'rate') / base.median(16, 'rate'):>13.2f}" if base else ""
        else:
            cells += f"{'serves one at a time':>40}"
        print(f"  {c.name:<24}{cells}")


def bar(by):
    """The promises of docs/performance.md, each True or False."""
    ours, starlette, rie = by.get("python"), by.get("starlette"), by.get("rie")
    held = {}
    if ours and starlette:
        held["at 16 connections at least 1.5 times Starlette's throughput"] = (
            ours.median(16, "rate") >= 1.5 * starlette.median(16, "rate"))
        held["at 1 connection a median no higher than Starlette's"] = ours.median(1, "p50") <= starlette.median(1, "p50")
    if ours and rie:
        held["at 1 connection at least 6 times the emulator's throughput"] = (
            ours.median(1, "rate") >= 6 * rie.median(1, "rate"))
    return held


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=int, default=4)
    options.add_argument("--only", action="append", choices=["samovar", "starlette", "fastapi", "rie", "nginx"])
    options.add_argument("--json", type=pathlib.Path, default=BUILD / "invoke.json")
    args = options.parse_args()
    chosen = set(args.only or ["samovar", "starlette", "fastapi", "rie", "nginx"])
    BUILD.mkdir(parents=True, exist_ok=True)
    bin_ = prepare_python()
    by = {}
    with contextlib.ExitStack() as stack:
        if "samovar" in chosen:
            by["python"], by["node"], by["provided"] = samovar(stack)
        if "starlette" in chosen:
            by["starlette"] = uvicorn(stack, bin_, "starlette_echo", "Starlette")
        if "fastapi" in chosen:
            by["fastapi"] = uvicorn(stack, bin_, "fastapi_echo", "FastAPI")
        if "rie" in chosen:
            found, reason = emulator(stack, bin_)
            if found:
                by["rie"] = found
            else:
                print(f"The AWS Runtime Interface Emulator is left out: {reason}")
        if "nginx" in chosen:
            by["nginx"] = nginx(stack, pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp"))))
        contestants, dice = list(by.values()), random.Random(7)
        for c in contestants:
            c.wait()
            c.check(dice)
        print(f"answers are right; {args.rounds} rounds of {args.seconds} s each", flush=True)
        for c in contestants:  # warm, unmeasured
            for connections in c.connections:
                quiet("wrk", "-t1", f"-c{connections}", "-d1s", "-s", HERE / c.script, c.url)
        for number in range(args.rounds):
            for c in contestants:
                for connections in c.connections:
                    c.measure(connections, args.seconds)
            print(f"  round {number + 1} of {args.rounds}", flush=True)
    table(contestants, by.get("starlette"))
    held = bar(by)
    print()
    for promise, kept in held.items():
        print(f"  {'held' if kept else 'MISSED'}: Python through Samovar has {promise}")
    args.json.write_text(json.dumps({
        "date": time.strftime("%Y-%m-%d"), "cpus": os.cpu_count(), "kernel": platform.release(),
        "rounds": args.rounds, "seconds": args.seconds, "held": held,
        "results": {key: {"name": c.name, **{str(n): {w: c.median(n, w) for w in ("rate", "p50", "p99")}
                                             for n in c.connections}} for key, c in by.items()}}, indent=2) + "\n")
    print(f"\n  written to {args.json}")
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
