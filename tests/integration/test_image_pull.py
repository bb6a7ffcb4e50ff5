"""Container images pulled from a registry: Debian's docker-registry on loopback, through skopeo."""

import json
import os
import pathlib
import signal
import subprocess

import pytest

from harness import BINARY, ROLE, clean_environment, unique, until
from images import Layout, Registry, client_files

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with Registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    layout = Layout(tmp_path_factory.mktemp("images"))
    files = {"app/app.py": "def handler(event, context): return event"}
    layout.image("client", {**client_files(), **files, "app/large": os.urandom(64 << 20)}, workingdir="/app",
                 entrypoint=["/usr/bin/python3", "-m", "awslambdaric"], cmd=["app.handler"])
    return layout


def answers(server, image):
    name = unique()
    server.client().create_function(FunctionName=name, PackageType="Image", Role=ROLE, Timeout=20, MemorySize=256,
                                    Code={"ImageUri": image})
    server.active(name)
    return server.invoke(name, {"n": 1}).payload == {"n": 1}


def images(server):
    found = json.loads(server.samovar("image", "list", "--json").stdout)
    return [name for image in found["images"] for name in image["names"]]


def test_an_image_is_pulled_from_a_registry(server, registry, layout, tmp_path):
    reference = registry.push(layout, "client", f"team/{unique('p')}:1")
    said = json.loads(server.samovar("image", "pull", reference, "--insecure", "--json",
                                     XDG_CACHE_HOME=str(tmp_path)).stdout)
    assert said["name"] == reference and answers(server, reference)
    missing = server.samovar("image", "pull", f"{registry.host}/team/none:1", "--insecure", check=False,
                             XDG_CACHE_HOME=str(tmp_path))
    assert missing.returncode == 2 and b"team/none" in missing.stderr


def test_an_image_is_pulled_and_named_by_its_digest(server, registry, layout, tmp_path):
    reference = registry.push(layout, "client", f"team/{unique('d')}:1")
    told = subprocess.run(["skopeo", "inspect", "--tls-verify=false", f"docker://{reference}"], check=True,
                          capture_output=True).stdout
    by_digest = f"{reference[:-2]}@{json.loads(told)['Digest']}"
    said = json.loads(server.samovar("image", "pull", by_digest, "--insecure", "--json",
                                     XDG_CACHE_HOME=str(tmp_path)).stdout)
    assert by_digest.endswith(said["digest"]) and answers(server, by_digest), said
    moved = by_digest[:-64] + "0" * 64
    refused = server.samovar("image", "pull", moved, "--insecure", check=False, XDG_CACHE_HOME=str(tmp_path))
    assert refused.returncode == 2 and b"0000" in refused.stderr


def test_kill_9_in_a_pull_leaves_no_half_image_and_the_next_goes_on(server, registry, layout, tmp_path):
    reference = registry.push(layout, "client", f"team/{unique('k')}:1")
    pull = [BINARY, "image", "pull", reference, "--insecure"]
    environment = {**clean_environment(), "AWS_ENDPOINT_URL": server.endpoint, "XDG_CACHE_HOME": str(tmp_path)}
    process = subprocess.Popen(pull, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: process.poll() is not None or fetched(tmp_path), what="bytes from the registry")
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert reference not in images(server)
    done = subprocess.run(pull, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert reference in images(server) and answers(server, reference)
    assert not fetched(tmp_path)


def fetched(folder):
    return any(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file() and "blob" in str(path))
