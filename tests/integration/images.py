"""Container images for the tests: a Debian root by mmdebstrap, put into layers by umoci."""

import contextlib
import fcntl
import hashlib
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import urllib3

from harness import ROLE, ROOT, free_port, unique, until

sys.path.insert(0, str(ROOT / "tests/clients/ric"))
import build  # noqa: E402

KEPT = ROOT / "build/images"
PACKAGES = ["base-files", "coreutils", "dash", "libstdc++6", "python3"]
LEFT_OUT = ("doc", "info", "lintian", "locale", "man")  # of /usr/share


def umoci(*words):
    said("umoci", *map(str, words), seconds=120)


def said(*command, seconds=240):
    """What it prints. One that does not end is asked where it is: programs in Go answer SIGQUIT with all their stacks."""
    with tempfile.TemporaryFile("w+", errors="replace") as out, tempfile.TemporaryFile("w+", errors="replace") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err)
        try:
            ended = f"ended with {process.wait(seconds)}"
        except subprocess.TimeoutExpired:
            ended = f"did not end within {seconds} s"
            process.send_signal(signal.SIGQUIT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
        err.seek(0)
        assert ended == "ended with 0", f"{command} {ended}:\n{err.read()[-8000:]}"
        out.seek(0)
        return out.read()


def versions():
    """Those that apt would install of the packages and of all that they need."""
    needed = said("apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks",
                  "--no-replaces", "--no-enhances", *PACKAGES)
    names = sorted({line for line in needed.splitlines() if re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", line)})
    return re.sub("(?m)^  (?!Candidate).*\n", "", said("apt-cache", "policy", *names))


def debian(root):
    """Unpacks PACKAGES and what they need, from where this machine has its Debian packages."""
    sources = said("apt-get", "indextargets", "--format", "deb $(REPO_URI) $(RELEASE) $(COMPONENT)",
                   "Created-By: Packages", "Origin: Debian")
    release = dict(re.findall(r'(?m)^(\w+)="?([^"\n]*)', pathlib.Path("/etc/os-release").read_text()))
    said("mmdebstrap", "--mode=root", "--variant=extract", "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
         "--include", ",".join(PACKAGES), *[f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT],
         release["VERSION_CODENAME"], root, *sources.splitlines())


def base():
    """An OCI layout with the image `base`, made once for each state of Debian's packages."""
    with open(KEPT.with_suffix(".lock"), "w") as lock:  # tests run side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        return made_base()


def made_base():
    made = KEPT / hashlib.sha256((versions() + pathlib.Path(__file__).read_text()).encode()).hexdigest()[:16]
    if made.exists():
        return made
    shutil.rmtree(KEPT, ignore_errors=True)
    work = KEPT / "work"
    work.mkdir(parents=True)
    layout, bundle = work / "layout", work / "bundle"
    umoci("init", "--layout", layout)
    umoci("new", "--image", f"{layout}:base")
    umoci("unpack", "--image", f"{layout}:base", bundle)
    debian(bundle / "rootfs")
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
        self.host = f"127.0.0.1:{free_port()}"
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
