"""Container images for the tests: a Debian root of the packages that this machine has, put together by umoci."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import urllib3

from harness import ROLE, ROOT, unique, until

sys.path.insert(0, str(ROOT / "tests/clients/ric"))
import build  # noqa: E402

KEPT = ROOT / "build/images"
# Python 3.11 and what it needs, and a shell.
PACKAGES = """base-files coreutils dash libacl1 libattr1 libbz2-1.0 libc6 libcrypt1 libdb5.3 libexpat1 libffi8 libgcc-s1
libgmp10 liblzma5 libncursesw6 libpcre2-8-0 libpython3.11-minimal libpython3.11-stdlib libreadline8 libselinux1
libsqlite3-0 libssl3 libstdc++6 libtinfo6 libuuid1 media-types python3.11 python3.11-minimal zlib1g""".split()
LEFT_OUT = ("/usr/share/doc", "/usr/share/man", "/usr/share/locale", "/usr/share/lintian", "/usr/share/info")


def umoci(*words, **more):
    subprocess.run(["umoci", *map(str, words)], check=True, capture_output=True, **more)


def copy_packages(root):
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    listed = subprocess.run(["dpkg-query", "-L", *PACKAGES], check=True, capture_output=True, text=True).stdout
    for path in sorted(set(listed.split())):
        if not path.startswith("/") or path.startswith(LEFT_OUT) or path == "/.":
            continue
        source, target = pathlib.Path(path), root / path[1:]
        if source.is_dir() and not source.is_symlink():
            target.mkdir(parents=True, exist_ok=True)
        elif not os.path.lexists(target) and os.path.lexists(source):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    (root / "usr/bin/python3").unlink(missing_ok=True)
    (root / "usr/bin/python3").symlink_to("python3.11")


def base():
    """An OCI layout with the image `base`, made once for each state of the machine's packages."""
    with open(KEPT.with_suffix(".lock"), "w") as lock:  # tests run side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        return made_base()


def made_base():
    versions = subprocess.run(["dpkg-query", "-W", *PACKAGES], check=True, capture_output=True).stdout
    made = KEPT / hashlib.sha256(versions + pathlib.Path(__file__).read_bytes()).hexdigest()[:16]
    if made.exists():
        return made
    shutil.rmtree(KEPT, ignore_errors=True)
    work = KEPT / "work"
    work.mkdir(parents=True)
    layout, bundle = work / "layout", work / "bundle"
    umoci("init", "--layout", layout)
    umoci("new", "--image", f"{layout}:base")
    umoci("unpack", "--image", f"{layout}:base", bundle)
    copy_packages(bundle / "rootfs")
    umoci("repack", "--image", f"{layout}:base", bundle)
    umoci("gc", "--layout", layout)
    layout.rename(made)
    shutil.rmtree(work)
    return made


class Layout:
    """A copy of the base that a test builds images in."""

    def __init__(self, folder):
        self.path = folder / "layout"
        shutil.copytree(base(), self.path)
        self.folder, self.count = folder, 0

    def image(self, tag, files, of="base", remove=(), programs=(), **config):
        """`files`: path -> text, bytes or a file; config: entrypoint=[...], cmd=[...], env=[...], workingdir=..."""
        self.count += 1
        bundle = self.folder / f"bundle{self.count}"
        umoci("unpack", "--image", f"{self.path}:{of}", bundle)
        root = bundle / "rootfs"
        for path in remove:
            target = root / path
            shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink()
        for path, content in files.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, pathlib.Path):
                shutil.copy2(content, target)
            else:
                target.write_bytes(content.encode() if isinstance(content, str) else content)
        for path in programs:
            (root / path).chmod(0o755)
        umoci("repack", "--image", f"{self.path}:{tag}", bundle)
        words = []
        for key, value in config.items():
            for one in [value] if isinstance(value, str) else value:
                words += [f"--config.{key}", one]
        umoci("config", "--image", f"{self.path}:{tag}", *words)
        shutil.rmtree(bundle)
        return self

    def docker_archive(self, tag, target, name):
        subprocess.run(["skopeo", "copy", f"oci:{self.path}:{tag}", f"docker-archive:{target}:{name}"], check=True,
                       capture_output=True)
        return target


def client_files():
    """app.py and AWS's Python runtime client, as paths of an image."""
    folder = ROOT / "build/ric"
    build.build(folder, "python")
    site = folder / "python"
    files = {f"app/{p.relative_to(site)}": p for p in site.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    return {**files, "app/app.py": ROOT / "tests/clients/ric/python/app.py"}


class Registry:
    """Debian's docker-registry on loopback."""

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.host = "127.0.0.1:%d" % probe.getsockname()[1]
        config = folder / "registry.yml"
        config.write_text(json.dumps({
            "version": 0.1, "log": {"level": "error"}, "http": {"addr": self.host},
            "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}}}))
        self.process = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)

    def __enter__(self):
        def ready():
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                return urllib3.request("GET", f"http://{self.host}/v2/", retries=False).status == 200
        until(ready, what="the registry")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def push(self, layout, tag, name):
        subprocess.run(["skopeo", "copy", "--dest-tls-verify=false", f"oci:{layout.path}:{tag}",
                        f"docker://{self.host}/{name}"], check=True, capture_output=True)
        return f"{self.host}/{name}"


def create(server, image, name=None, **more):
    name = name or unique()
    server.client().create_function(FunctionName=name, PackageType="Image", Role=ROLE, Timeout=20, MemorySize=256,
                                    Code={"ImageUri": image}, **more)
    server.active(name)
    return name
