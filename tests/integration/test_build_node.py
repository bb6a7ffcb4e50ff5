"""npm at deploy: what is installed once for all projects, and that install scripts are kept from it.

The packages come from a registry made here, on the host's loopback.
"""

import base64
import hashlib
import http.server
import io
import json
import tarfile
import threading
import zipfile

import pytest

from harness import BINARY, run

# What an install script of a package finds and leaves.
LOOK = """
const fs = require('fs');
const seen = {cache: process.env.npm_config_cache, shared: fs.existsSync(process.env.CMAKE_SHARED)};
fs.writeFileSync('seen.json', JSON.stringify(seen));
"""


def tarball(name, scripts, files):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        package = json.dumps({"name": name, "version": "1.0.0", "scripts": scripts})
        for path, text in {"package.json": package, **files}.items():
            entry = tarfile.TarInfo(f"package/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return data.getvalue()


PACKAGES = {"words": tarball("words", {}, {"index.js": "exports.word = 'one'\n"}),
            "looks": tarball("looks", {"install": "node look.js"}, {"look.js": LOOK, "index.js": ""})}


def integrity(name):
    return "sha512-" + base64.b64encode(hashlib.sha512(PACKAGES[name]).digest()).decode()


class Registry(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        name, _, rest = self.path.strip("/").partition("/")
        if name not in PACKAGES:
            return self.send_error(404)
        scripts = {"hasInstallScript": True} if name == "looks" else {}
        body = PACKAGES[name] if rest else json.dumps({
            "name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {
                "name": name, "version": "1.0.0", **scripts, "dist": {
                    "tarball": f"http://127.0.0.1:{self.server.server_port}/{name}/-/{name}.tgz",
                    "integrity": integrity(name)}}}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def registry():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry) as served:
        served.asked = []
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield served
        served.shutdown()


@pytest.fixture
def build(tmp_path, registry):
    def build(folder, name, locked=True, check=True):
        (folder).mkdir(exist_ok=True)
        (folder / "index.js").write_text("exports.handler = async () => 1\n")
        url = f"http://127.0.0.1:{registry.server_port}"
        (folder / "package.json").write_text(json.dumps({"name": "shop", "version": "1.0.0", "dependencies": {name: "1.0.0"}}))
        more = {"hasInstallScript": True} if name == "looks" else {}
        if locked:
            (folder / "package-lock.json").write_text(json.dumps({
                "name": "shop", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": {
                    "": {"name": "shop", "version": "1.0.0", "dependencies": {name: "1.0.0"}},
                    f"node_modules/{name}": {"version": "1.0.0", "resolved": f"{url}/{name}/-/{name}.tgz",
                                             "integrity": integrity(name), **more}}}))
        done = run([BINARY, "build", folder, "--name", "shop", "--runtime", "nodejs20.x", "--handler", "index.handler"],
                   npm_config_registry=url, npm_config_cache=str(tmp_path / "npm"), CMAKE_SHARED=str(tmp_path / "npm"),
                   XDG_CACHE_HOME=str(tmp_path / "home-cache"), check=check)
        return done, check and zipfile.ZipFile(folder / ".samovar-build/shop.zip")
    return build


def test_a_lock_without_install_scripts_is_installed_once_for_all_projects(build, registry, tmp_path):
    done, package = build(tmp_path / "one", "words")
    assert "npm installs" in done.err and b"one" in package.read("node_modules/words/index.js")
    asked = len(registry.asked)
    done, package = build(tmp_path / "two", "words")
    assert "npm installs" not in done.err and b"one" in package.read("node_modules/words/index.js"), done.err
    assert len(registry.asked) == asked, "nothing was fetched"
    assert len([*tmp_path.glob("home-cache/samovar/trees/*")]) == 1


@pytest.mark.parametrize("locked", [True, False])
def test_an_install_script_runs_with_a_cache_of_its_project(build, tmp_path, locked):
    (tmp_path / "npm").mkdir()
    _, package = build(tmp_path / "one", "looks", locked)
    seen = json.loads(package.read("node_modules/looks/seen.json"))
    assert seen == {"cache": str(tmp_path / "one/.samovar-build/cache/npm"), "shared": False}
    assert not [*tmp_path.glob("home-cache/samovar/trees/*")]


def test_a_package_that_is_not_there_is_named(build, tmp_path):
    failed, _ = build(tmp_path / "one", "unheard-of", locked=False, check=False)
    told = next(line for line in failed.err.splitlines() if line.startswith("samovar: "))
    assert failed.returncode == 2 and "unheard-of" in told and "Not Found" in told, failed.err


def test_a_package_whose_install_script_fails_is_named(build, tmp_path, monkeypatch):
    monkeypatch.setitem(PACKAGES, "looks", tarball("looks", {"install": "node absent.js"}, {"index.js": ""}))
    failed, _ = build(tmp_path / "one", "looks", check=False)
    told = next(line for line in failed.err.splitlines() if line.startswith("samovar: "))
    assert failed.returncode == 2 and "looks: its install script failed" in told and "absent.js" in told, failed.err
