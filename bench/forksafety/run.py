"""The fork-safety table: bench/forksafety/run [--only NAME]... [--docs]; see README.md."""

import argparse
import hashlib
import importlib.metadata
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/runtimes"))
BUILD = ROOT / "build/forksafety"
BUILT = pathlib.Path(os.environ.get("SAMOVAR_BINARY", ROOT / "build/release/samovar")).resolve().parent / "runtimes"
CLONES = 3
THREADS = {name: "2" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
BEGIN, END = "<!-- bench/forksafety: begin -->", "<!-- bench/forksafety: end -->"

import libraries  # noqa: E402
import spawner  # noqa: E402
from channel import RESPONSE  # noqa: E402


def install(name):
    """The folder of a requirements file, installed as PyPI ships it."""
    wanted = HERE / f"requirements/{name}.txt"
    folder = BUILD / f"{name}-{hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()[:12]}"
    if not folder.exists():
        part = folder.with_suffix(f".{os.getpid()}")
        shutil.rmtree(part, ignore_errors=True)
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--only-binary", ":all:", "--target", part, "-r", wanted],
            check=True,
        )
        part.rename(folder)
    return folder


def version(folder, module):
    found = next(importlib.metadata.distributions(name=module, path=[str(folder)]), None)
    return found.version if found else "?"


def prepare(name):
    """(package folder, environment) of the function for one library, its model made."""
    environment, library = libraries.LIBRARIES[name]
    folder = install(environment)
    task = BUILD / "task"
    task.mkdir(parents=True, exist_ok=True)
    for file in ("app.py", "libraries.py"):
        shutil.copy(HERE / file, task)
    env = {
        "LIBRARY": name,
        "MODEL": str(task / name.replace(" ", "-").replace(",", "")),
        "PYTHONPATH": str(folder),
        **THREADS,
        **library.environment,
    }
    subprocess.run([sys.executable, HERE / "libraries.py"], env={**os.environ, **env}, check=True, timeout=600)
    return task, env, version(folder, library.modules[0])


def predict(clone, name, number):
    """A clone's answer, which must come within the harness's deadline and be the template's own."""
    frame = clone.invoke({})
    if frame is None or frame.kind != RESPONSE:
        raise AssertionError(f"{name}: clone {number} answered {frame}: {clone.log()}")
    assert frame.json["equal"], f"{name}: clone {number} predicts something else"
    return frame.json


def attempt(name):
    """One row of the table."""
    task, env, release = prepare(name)
    began = time.monotonic()
    template = spawner.Template([os.path.realpath(sys.executable), BUILT / "python/samovar_runtime.py"], task, env)
    try:
        said = template.said()
        row = {"library": name, "version": release, "fresh_s": time.monotonic() - began, **said}
        if not said["clonable"]:
            predict(template, name, "none, the template itself,")
            return row
        answers, ready = [], []
        for number in range(CLONES):
            began = time.monotonic()
            clone = template.clone()
            clone.ready()
            ready.append(time.monotonic() - began)
            answers += [predict(clone, name, number), predict(clone, name, number)]
        row.update(
            ready_s=sorted(ready)[len(ready) // 2],
            faults=[a["faults"] for a in answers],
            clone_threads=answers[-1]["threads"],
        )
        return row
    finally:
        template.close()


def table(rows):
    lines = ["| library | version | cloned | why not, and what helps |", "|---|---|---|---|"]
    for row in rows:
        why = [f"{one['problem']}: {one['remedy']}" for one in row["reasons"][:1]]
        why += [f"and {len(row['reasons']) - 1} more"] if len(row["reasons"]) > 1 else []
        lines.append(
            f"| {row['library']} | {row['version']} | {'yes' if row['clonable'] else 'no'} | {'; '.join(why)} |"
        )
    return "\n".join(lines)


def show(row):
    made = f"ready in {row['ready_s'] * 1e3:.0f} ms" if row["clonable"] else row["reasons"][0]["problem"]
    print(
        f"{row['library']:24} {row['version']:10} {'cloned' if row['clonable'] else 'NOT cloned':10} {made}", flush=True
    )


def write_docs(rows):
    page = ROOT / "docs/clones.md"
    text = page.read_text()
    head, rest = text.split(BEGIN)
    page.write_text(head + BEGIN + "\n" + table(rows) + "\n" + END + rest.split(END)[1])


def main():
    options = argparse.ArgumentParser(description="which libraries survive being cloned")
    options.add_argument(
        "--only", action="append", choices=list(libraries.LIBRARIES), help="this library; may be given again"
    )
    options.add_argument("--docs", action="store_true", help="write the table into docs/clones.md")
    chosen = options.parse_args()
    rows = []
    for name in chosen.only or libraries.LIBRARIES:
        rows.append(attempt(name))
        show(rows[-1])
    (ROOT / "build/bench").mkdir(exist_ok=True, parents=True)
    (ROOT / "build/bench/forksafety.json").write_text(json.dumps(rows, indent=1))
    print("\n" + table(rows))
    if chosen.docs:
        write_docs(rows)


if __name__ == "__main__":
    main()
