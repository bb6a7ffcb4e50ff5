#!/usr/bin/env python3
"""Models, side by side: bench/models/run [--rounds N] [--seconds S] [--only NAME]... [--model NAME]...

One row a request to a forest of 200 trees and to a gradient boosting, over 100 features: through Samovar
(Lambda's Invoke, runtime onnx, with batching, without, and with ONNX Runtime's own trees), FastAPI with onnxruntime, FastAPI with scikit-learn,
and MLServer where --only names it; beside ONNX Runtime called from C++ in process, and an empty request to the same server (a model
that answers its one number). All run at the same time on this machine, idle but for the one measured; rounds go
through all of them in turn. Medians over the rounds are printed, and written to build/bench/models.json.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import pathlib
import platform
import shutil
import statistics
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD, ORT = ROOT / "build/bench", ROOT / "build/onnxruntime"
CONNECTIONS, MODELS = (1, 16, 64), ("forest", "boosting")
CHOICES = ["samovar", "fastapi-onnx", "fastapi-sklearn", "mlserver"]
sys.path += [str(ROOT / "tests/integration"), str(ROOT / "bench/invoke")]
spec = importlib.util.spec_from_file_location("invoke", ROOT / "bench/invoke/run.py")
invoke = importlib.util.module_from_spec(spec)
spec.loader.exec_module(invoke)


def environment(name, requirements):
    """The bin folder of an environment of its own, made anew where its requirements changed."""
    venv, stamp, wanted = BUILD / name, BUILD / f"{name}.txt", requirements.read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing what {requirements.relative_to(ROOT)} names ...", flush=True)
        shutil.rmtree(venv, ignore_errors=True)
        invoke.quiet(invoke.python311(), "-m", "venv", venv)
        invoke.quiet(venv / "bin/pip", "install", "--disable-pip-version-check", "--require-hashes", "-r", requirements)
        stamp.write_text(wanted)
    return venv / "bin"


class Contestant:
    def __init__(self, name, url, events, read, connections=CONNECTIONS):
        self.name, self.url, self.events, self.read, self.connections = name, url, events, read, connections
        self.runs = {c: [] for c in connections}

    def ask(self, event):
        request = urllib.request.Request(self.url, event.encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            return self.read(json.loads(reply.read()))

    def check(self, want, seconds=60):
        end = time.monotonic() + seconds
        while True:
            try:
                got = [self.ask(event) for event in self.events.read_text().splitlines()]
                break
            except OSError as error:
                if time.monotonic() > end:
                    sys.exit(f"{self.name} at {self.url} does not answer: {error}")
                time.sleep(0.1)
        for one, other in zip(got, want, strict=True):
            if abs(one - other) > 1e-3:
                sys.exit(f"{self.name} answers {one} instead of {other}")

    def measure(self, connections, seconds, keep=True):
        # A load that ends breaks off what it has asked; a server that works all that off first answers after it.
        with self.events.open() as events:
            self.ask(next(events))
        out = invoke.quiet("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", HERE / "post.lua", self.url,
                           env={**os.environ, "EVENTS": str(self.events)})
        run = json.loads(next(line for line in out.splitlines() if line.startswith("JSON "))[5:])
        run["rate"] = run["requests"] / (run["microseconds"] / 1e6)
        if run["wrong"]:
            sys.exit(f"{self.name}: {run['wrong']} failed requests at {connections} connections")
        if keep:
            self.runs[connections].append(run)

    def median(self, connections, what):
        return statistics.median(run[what] for run in self.runs[connections])


class Limit:
    """The model called in process, from C++."""

    def __init__(self, program, folder, model):
        self.command, self.runs = [program, folder / f"{model}.onnx", folder / f"{model}.rows"], []

    def measure(self, seconds):
        self.runs.append(json.loads(invoke.quiet(*self.command, seconds)))

    def median(self, what):
        return statistics.median(run[what] for run in self.runs)


def trained():
    """The folder with the models, and the environment that they were made with."""
    bin_ = environment("models-venv", HERE / "requirements.txt")
    folder = BUILD / "models"
    stamp = folder / "made"
    wanted = (HERE / "make_models.py").read_text() + (HERE / "requirements.txt").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        print("training the models ...", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        invoke.quiet(bin_ / "python", HERE / "make_models.py", folder)
        stamp.write_text(wanted)
    return folder, bin_


def prepare(folder):
    program = folder / "in_process"
    invoke.quiet("clang++-19", "-std=c++23", "-O2", "-o", program, HERE / "in_process.cc", f"-I{ORT}/include",
                 f"-L{ORT}/lib", "-lonnxruntime", f"-Wl,-rpath,{ORT}/lib")
    for model in MODELS:
        rows = json.loads((folder / f"{model}.json").read_text())["rows"]
        (folder / f"{model}.events").write_text("".join(json.dumps({"instances": [row]}) + "\n" for row in rows))
        (folder / f"{model}.v2").write_text("".join(json.dumps({"inputs": [
            {"name": "X", "datatype": "FP32", "shape": [1, 100], "data": row}]}) + "\n" for row in rows))
    (folder / "empty.events").write_text('{"instances":[0]}\n')
    return program


def first(answer):
    value = answer["predictions"]
    while isinstance(value, list):
        value = value[0]
    return value


def samovar(stack, folder, models):
    from harness import Server
    from models import FLOAT, deploy, identity
    server = stack.enter_context(Server("grpc_listen=off"))
    found = {}

    def add(key, name, function, event):
        found[key] = Contestant(name, f"{server.endpoint}/2015-03-31/functions/{function}/invocations", event, first)

    for model in models:
        data = (folder / f"{model}.onnx").read_bytes()
        for key, label, settings in (("samovar", "Samovar", None), ("unbatched", "Samovar, batching off", 'batching: {mode: "off"}'),
                                     ("onnxruntime", "the same, ONNX Runtime's trees", 'batching: {mode: "off"}\ntrees: onnxruntime')):
            function = deploy(server, data, settings, name=f"{model}-{key}", MemorySize=1769)
            add((model, key), label, function, folder / f"{model}.events")
    add("empty", "an empty request to Samovar", deploy(server, identity(FLOAT), name="empty", MemorySize=1769), folder / "empty.events")
    return found


def fastapi(stack, bin_, folder, model, library):
    port = invoke.free_port()
    stack.enter_context(invoke.process(
        bin_ / "uvicorn", f"fastapi_{library}:app", "--port", port, "--loop", "uvloop", "--http", "httptools", "--workers", 1,
        "--no-access-log", "--log-level", "warning", cwd=HERE,
        env={**os.environ, "MODEL": str(folder / model), "ORT_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}))
    name = {"onnx": "FastAPI + onnxruntime", "sklearn": "FastAPI + scikit-learn"}[library]
    return Contestant(name, f"http://127.0.0.1:{port}/", folder / f"{model}.events", first)


def mlserver(stack, bin_, folder, models):
    """One MLServer for all models, in its one process, as its documentation advises for the least latency."""
    home, ports = folder / "mlserver", [invoke.free_port() for _ in range(3)]
    for model in models:
        (home / model).mkdir(parents=True, exist_ok=True)
        (home / model / "model-settings.json").write_text(json.dumps({
            "name": model, "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": str(folder / f"{model}.joblib")}}))
    (home / "settings.json").write_text(json.dumps({
        "http_port": ports[0], "grpc_port": ports[1], "metrics_port": ports[2], "parallel_workers": 0,
        "host": "127.0.0.1", "debug": False}))
    stack.enter_context(invoke.process(bin_ / "mlserver", "start", home, cwd=home))
    return {(model, "mlserver"): Contestant("MLServer + scikit-learn", f"http://127.0.0.1:{ports[0]}/v2/models/{model}/infer",
                                            folder / f"{model}.v2", lambda answer: answer["outputs"][0]["data"][0])
            for model in models}


def bars(by, limits, models):
    held = {}
    for model in models:
        ours, rival = by.get((model, "samovar")), by.get((model, "fastapi-onnx"))
        if ours:
            base = limits[model].median("p50") + by["empty"].median(1, "p50")
            ratio = ours.median(1, "p50") / base
            held[f"{model}: at 1 connection a median within 1.5 times of a call in process and an empty request ({ratio:.2f})"] = ratio <= 1.5
        if ours and rival:
            ratio = ours.median(16, "rate") / rival.median(16, "rate")
            held[f"{model}: at 16 connections at least 5 times the throughput of FastAPI + onnxruntime ({ratio:.1f})"] = ratio >= 5
    if ours := by.get(("forest", "samovar")):
        off = by["forest", "unbatched"]
        ratio, slower = ours.median(64, "rate") / off.median(64, "rate"), ours.median(1, "p50") / off.median(1, "p50")
        held[f"forest: batching at 64 connections at least doubles the throughput ({ratio:.2f})"] = ratio >= 2
        held[f"forest: and does not raise the median at 1 connection ({slower:.2f})"] = slower <= 1.05
        ratio = ours.median(64, "rate") / by["forest", "onnxruntime"].median(64, "rate")
        held[f"forest: rows walked together at 64 connections at least double what ONNX Runtime does row by row ({ratio:.2f})"] = ratio >= 2
    return held


def table(by, limits, models):
    head = "".join(f"{f'{n} conn.: req/s':>18}{'p50 us':>9}{'p99 us':>9}" for n in CONNECTIONS)
    for model in models:
        print(f"\n  {model:30}{head}")
        limit = limits[model]
        print(f"  {'in process, C++':30}{limit.median('rate'):>18,.0f}{limit.median('p50'):>9.1f}")
        for key, c in by.items():
            if key == "empty" or key[0] == model:
                print(f"  {c.name:30}" + "".join(
                    f"{c.median(n, 'rate'):>18,.0f}{c.median(n, 'p50'):>9,}{c.median(n, 'p99'):>9,}" for n in CONNECTIONS))


def gather(stack, asked, models):
    folder, bin_ = trained()
    program = prepare(folder)
    by = samovar(stack, folder, models) if "samovar" in asked else {}
    for model in models:
        for library in ("onnx", "sklearn"):
            if f"fastapi-{library}" in asked:
                by[model, f"fastapi-{library}"] = fastapi(stack, bin_, folder, model, library)
    wanted = HERE / "mlserver-requirements.txt"
    if "mlserver" in asked and wanted.exists():
        by |= mlserver(stack, environment("mlserver-venv", wanted), folder, models)
    return by, {model: Limit(program, folder, model) for model in models}, folder


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--only", action="append", choices=CHOICES)
    options.add_argument("--model", action="append", choices=MODELS)
    options.add_argument("--json", type=pathlib.Path, default=BUILD / "models.json")
    args = options.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    models = args.model or list(MODELS)
    with contextlib.ExitStack() as stack:
        by, limits, folder = gather(stack, set(args.only or CHOICES[:-1]), models)
        for key, c in by.items():
            c.check([0] if key == "empty" else json.loads((folder / f"{key[0]}.json").read_text())["want"])
            c.measure(16, 1, keep=False)
        print(f"answers are right; {args.rounds} rounds of {args.seconds} s each", flush=True)
        for number in range(args.rounds):
            for limit in limits.values():
                limit.measure(args.seconds)
            for c in by.values():
                for connections in c.connections:
                    c.measure(connections, args.seconds)
            print(f"  round {number + 1} of {args.rounds}", flush=True)
    table(by, limits, models)
    held = bars(by, limits, models)
    print()
    for promise, kept in held.items():
        print(f"  {'held' if kept else 'MISSED'}: {promise}")
    args.json.write_text(json.dumps({
        "date": time.strftime("%Y-%m-%d"), "cpus": os.cpu_count(), "kernel": platform.release(), "rounds": args.rounds,
        "seconds": args.seconds, "held": held, "in process": {m: {w: limit.median(w) for w in ("p50", "rate")} for m, limit in limits.items()},
        "results": {str(key): {"name": c.name, **{str(n): {w: c.median(n, w) for w in ("rate", "p50", "p99")} for n in c.connections}}
                    for key, c in by.items()}}, indent=2) + "\n")
    print(f"\n  written to {args.json}")
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
