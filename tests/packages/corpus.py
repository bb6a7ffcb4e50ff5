"""Packages made from real wheels: sound ones, and each kind of broken one that people send.

The wheels are pinned in wheels.txt and kept, unpacked, under build/packages.
"""

import contextlib
import fcntl
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KEPT = ROOT / "build/packages"
HOST, OTHER = "manylinux2014_x86_64", "manylinux2014_aarch64"


def wheel(name, platform=HOST, python="3.11"):
    """The folder of an unpacked wheel: {name}, as `pip install --target` leaves it."""
    target = KEPT / f"{name}-{python}-{platform}"
    KEPT.mkdir(parents=True, exist_ok=True)
    with open(KEPT / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            download(name, platform, python, target)
    return target


def download(name, platform, python, target):
    stage = KEPT / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    # One requirement of the list, with its hashes.
    pinned = (HERE / "wheels.txt").read_text()
    wanted = re.search(rf"^{name}==(?:.*\\\n)*.*\n", pinned, re.MULTILINE)[0]
    (stage / "one.txt").write_text(wanted)
    platforms = [platform] if platform != HOST else [HOST, "manylinux_2_28_x86_64"]
    done = subprocess.run(
        [ROOT / ".venv/bin/pip", "download", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
         "--require-hashes", *[word for p in platforms for word in ("--platform", p)], "--python-version", python,
         "-d", stage, "-r", stage / "one.txt"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(next(stage.glob("*.whl"))) as archive:
        archive.extractall(stage / "tree")
    (stage / "tree").rename(target)


def copy(folder, source):
    shutil.copytree(source, folder, dirs_exist_ok=True, symlinks=True)
    return folder


def patch(path, pattern, replacement):
    """Changes bytes of a file, as many as they are."""
    data = path.read_bytes()
    changed = re.sub(pattern, lambda found: replacement(found[0]), data, flags=re.DOTALL)
    assert changed != data and len(changed) == len(data), path
    path.write_bytes(changed)


def text(path, content):
    path.write_text(content)
    return path


def extension(folder, name="fast", *, flags=(), tag=""):
    """A small extension module, compiled here."""
    source = folder / f"{name}.c"
    source.write_text(f"int puts(const char*); void* PyInit_{name}(void) {{ puts(\"\"); return 0; }}\n")
    compile_c(source, folder / f"{name}{tag}.so", "-shared", "-fPIC", *flags)
    source.unlink()
    return folder


def compile_c(source, target, *flags):
    done = subprocess.run(["gcc", "-o", target, source, *flags], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- broken packages: each fills `folder`

def aarch64_wheel(folder):
    copy(folder, wheel("pydantic-core", OTHER))


def aarch64_library(folder):
    copy(folder, wheel("lightgbm", OTHER))


def musl_wheel(folder):
    copy(folder, wheel("pydantic-core", "musllinux_1_1_x86_64"))


def another_python(folder):
    copy(folder, wheel("pydantic-core", python="3.12"))


def another_python_without_its_papers(folder):
    copy(folder, wheel("pydantic-core", python="3.12"))
    shutil.rmtree(next(folder.glob("*.dist-info")))


def removed_libgomp(folder):
    copy(folder, wheel("scikit-learn"))
    next((folder / "scikit_learn.libs").glob("libgomp*")).unlink()


def newer_glibc(folder):
    copy(folder, wheel("pydantic-core"))
    module = next((folder / "pydantic_core").glob("*.so"))
    patch(module, rb"\x00GLIBC_2\.\d\d\x00", lambda _: b"\0GLIBC_2.99\0")


def newer_processor(folder):
    """No processor has the level that bit 30 stands for."""
    extension(folder, flags=["-Wl,-z,x86-64-v2"])
    header = rb"\x02\x80\x00\xc0\x04\x00\x00\x00"  # GNU_PROPERTY_X86_ISA_1_NEEDED, 4 bytes
    patch(folder / "fast.so", header + rb"....", lambda found: found[:8] + b"\0\0\0\x40")


def absent_library(folder):
    empty = folder / "empty.c"
    empty.write_text("")
    compile_c(empty, folder / "libzbar.so.0", "-shared", "-Wl,-soname,libzbar.so.0")
    extension(folder, flags=["-Wl,--no-as-needed", folder / "libzbar.so.0"])
    (folder / "libzbar.so.0").unlink()
    empty.unlink()


def damaged_module(folder):
    extension(folder, tag=".abi3")
    data = (folder / "fast.abi3.so").read_bytes()
    (folder / "fast.abi3.so").write_bytes(data[:60] + b"\xff" * 8 + data[68:200])


def no_run_bit(folder):
    (folder / "bootstrap").write_text("#!/bin/sh\n")


def windows_lines(folder):
    (folder / "bootstrap").write_bytes(b"#!/bin/sh\r\necho\r\n")
    (folder / "bootstrap").chmod(0o755)


def absent_interpreter(folder):
    (folder / "bootstrap").write_text("#!/usr/local/bin/ruby\n")
    (folder / "bootstrap").chmod(0o755)


def bootstrap_of_aarch64(folder):
    library = next(wheel("lightgbm", OTHER).rglob("*.so"))
    shutil.copy(library, folder / "bootstrap")
    (folder / "bootstrap").chmod(0o755)


def link_to_the_host(folder):
    (folder / "app.py").write_text("def handler(e, c): pass\n")
    (folder / "secrets").symlink_to("/etc/passwd")


# --- zips that are refused as they are unpacked

def zip_of(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def dot_dot(path):
    return zip_of(path, [("app.py", "x = 1\n"), ("../outside.py", "x = 1\n")])


def link_out(path):
    entry = zipfile.ZipInfo("passwd")
    entry.external_attr = 0o120777 << 16
    return zip_of(path, [("app.py", "x = 1\n"), (entry, "../../etc/passwd")])


def truncated(path):
    zip_of(path, [("app.py", "x = 1\n" * 1000)])
    path.write_bytes(path.read_bytes()[:-30])
    return path


def bomb(path):
    """100 GB of nothing in 1 MB: a hundred entries that share what each unpacks to a thousand MiB."""
    block, squeezer, crc, names = b"\0" * (1 << 20), zlib.compressobj(wbits=-15), 0, [b"%03d" % n for n in range(100)]
    packed = (squeezer.compress(block) + squeezer.flush(zlib.Z_FULL_FLUSH)) * 1000 + squeezer.flush()
    for _ in range(1000):
        crc = zlib.crc32(block, crc)
    about = struct.pack("<HHHHIIIHH", 0, 8, 0, 33, crc, len(packed), 1000 << 20, 3, 0)
    entries = [struct.pack("<4sHH", b"PK\1\2", 3 << 8 | 20, 20) + about + struct.pack("<HHHII", 0, 0, 0, 0o100644 << 16, 0)
               + name for name in names]
    local = struct.pack("<4sH", b"PK\3\4", 20) + about + names[0] + packed
    directory = b"".join(entries)
    path.write_bytes(local + directory + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 100, 100, len(directory), len(local), 0))
    return path


def many_files(path):
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(100_000):
            archive.writestr(f"d{number % 100}/f{number}", "")
    return path


if __name__ == "__main__":  # corpus.py NAME FOLDER: one of them, to look at
    with contextlib.suppress(FileExistsError):
        pathlib.Path(sys.argv[2]).mkdir()
    globals()[sys.argv[1]](pathlib.Path(sys.argv[2]))
