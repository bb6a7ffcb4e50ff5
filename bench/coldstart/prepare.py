"""What the benchmark compares with, and the package that all contestants serve."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build/bench/coldstart"
CODE = ("app.py", "primed.py")
MODELS = ("model.pickle", "forest.pickle")
sys.path.insert(0, str(ROOT / "bench/invoke"))
sys.path.insert(0, str(ROOT / "tests/integration"))

import run as invoke  # noqa: E402  (bench/invoke: the venv with FastAPI and awslambdaric, the emulator)


def package():
    """The function's folder: pandas, scikit-learn, the model, the code, byte code. Answers (folder, answers)."""
    folder, stamp = BUILD / "package", BUILD / "package.txt"
    wanted = "".join((HERE / name).read_text() for name in ("requirements.txt", "train.py", *CODE))
    python = invoke.python311()
    if not stamp.exists() or stamp.read_text() != wanted:
        print("installing pandas and scikit-learn for the function, training its models ...", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        # The venv's pip, as the interpreter itself may have none.
        invoke.quiet(BUILD.parent / "venv/bin/pip", "install", "--disable-pip-version-check", "--require-hashes",
                     "--no-compile", "--target", folder, "-r", HERE / "requirements.txt")
        invoke.quiet(python, HERE / "train.py", BUILD, env={**os.environ, "PYTHONPATH": str(folder)})
        for name in MODELS:
            shutil.move(BUILD / name, folder / name)
        for name in CODE:
            shutil.copy(HERE / name, folder)
        # By content, not by time, which a zip does not keep.
        invoke.quiet(python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", folder)
        stamp.write_text(wanted)
    return folder, json.loads((BUILD / "answers.json").read_text())


def zipped(folder):
    out = folder.with_suffix(".zip")
    if not out.exists() or out.stat().st_mtime < (BUILD / "package.txt").stat().st_mtime:
        part = out.with_suffix(".part")
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(folder))
        part.rename(out)
    return out


def all_of_it():
    BUILD.mkdir(parents=True, exist_ok=True)
    bin_ = invoke.prepare_python()
    emulator, reason = invoke.prepare_emulator()
    if emulator is None:
        print(f"The AWS Runtime Interface Emulator is left out: {reason}")
    folder, answers = package()
    return bin_, emulator, folder, zipped(folder), answers


def free_port():
    return invoke.free_port()


def end(child):
    """Ends a process group of ours and waits for it."""
    try:
        os.killpg(child.pid, 9)
    except ProcessLookupError:
        pass
    child.wait(20)


def spawn(command, log, **more):
    with open(BUILD / log, "ab") as out:
        return subprocess.Popen([str(c) for c in command], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                start_new_session=True, **more)
