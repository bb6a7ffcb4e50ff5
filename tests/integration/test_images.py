"""Container images: imported from files and registries, run with the image as the root."""

import hashlib
import io
import json
import shutil
import struct
import subprocess
import tarfile
import threading

import pytest
from botocore.exceptions import ClientError

from harness import ROLE, pack, unique, until
from images import Layout, client_files, create

pytestmark = pytest.mark.timeout(300)

LOOK = """import os, json
def handler(event, context):
    found = {}
    for path in event.get("read", []):
        try:
            found[path] = open(path).read()
        except OSError as e:
            found[path] = type(e).__name__
    for path in event.get("list", []):
        try:
            found[path] = sorted(os.listdir(path)) if os.path.isdir(path) else None
        except OSError as e:
            found[path] = type(e).__name__
    for path in event.get("write", []):
        try:
            open(path, "w").write("x")
            found[path] = "written"
        except OSError as e:
            found[path] = e.strerror
    found["cwd"], found["uid"], found["env"] = os.getcwd(), os.getuid(), dict(os.environ)
    return found
"""
PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    made = Layout(tmp_path_factory.mktemp("images"))
    made.image("client", {**client_files(), "app/look.py": LOOK, "data/old": "1", "data/gone": "2",
                          "folder/a": "a", "folder/b": "b", "etc/motd": "of the image"},
               entrypoint=[PYTHON, "-m", "awslambdaric"], cmd=["app.handler"], workingdir="/app",
               env=["GREETING=hello", "TZ=Europe/Berlin"])
    made.image("changed", {"data/old": "new", "folder/c": "c"}, of="client", remove=["data/gone", "folder"],
               cmd=["look.handler"])
    made.image("broken", {"bad/aarch64": elf(183, "/lib/ld-linux-aarch64.so.1"), "bad/script": "#!/no/interpreter\n",
                          "bad/musl": elf(62, "/lib/ld-musl-x86_64.so.1"), "data/old": "text"},
               programs=["bad/aarch64", "bad/script", "bad/musl"])
    return made


@pytest.fixture
def imported(server, layout):
    def take(tag, name=None):
        said = server.samovar("image", "import", layout.path, "--tag", tag, "--name", name or f"{unique('i')}:1",
                              "--json")
        return json.loads(said.stdout)
    return take


def error(call, *words, **more):
    with pytest.raises(ClientError) as caught:
        call(*words, **more)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_an_image_with_awss_client_runs_unmodified(server, lam, imported):
    image = imported("client")
    name = create(server, image["name"])
    answer = server.invoke(name, {"n": 1})
    assert answer.error == "" and answer.payload["event"] == {"n": 1}, answer.payload
    assert server.invoke(name, "fail").error == "Unhandled"
    told = lam.get_function(FunctionName=name)
    assert told["Code"] == {"RepositoryType": "ECR", "ImageUri": image["name"],
                            "ResolvedImageUri": f"{image['name'][:-2]}@{image['digest']}"}
    about = told["Configuration"]
    assert about["PackageType"] == "Image" and about["CodeSha256"] == image["digest"][7:]
    assert "Runtime" not in about and "Handler" not in about and about["State"] == "Active"


def test_the_image_is_the_root(server, imported):
    name = create(server, imported("client")["name"], ImageConfig={"Command": ["look.handler"]},
                  Environment={"Variables": {"OWN": "1"}})
    found = server.invoke(name, {
        "read": ["/data/old", "/etc/motd", "/etc/shadow", "/proc/1/environ"], "list": ["/tmp", "/mnt", "/root", "/work"],
        "write": ["/x", "/app/x", "/usr/x", "/dev/x", "/tmp/x", "/proc/sys/kernel/hostname"]}).payload
    assert found["/data/old"] == "1" and found["/etc/motd"] == "of the image"
    assert found["/etc/shadow"] == "FileNotFoundError" and found["/work"] is None
    assert found["/tmp"] == [] and found["/tmp/x"] == "written"
    for path in ("/x", "/app/x", "/usr/x", "/dev/x"):
        assert found[path] in ("Read-only file system", "Permission denied"), (path, found[path])
    assert found["/proc/sys/kernel/hostname"] != "written" and found["/proc/1/environ"] == "PermissionError"
    assert found["cwd"] == "/app" and found["uid"] != 0
    env = found["env"]
    assert env["GREETING"] == "hello" and env["TZ"] == "Europe/Berlin" and env["OWN"] == "1"
    assert env["AWS_LAMBDA_FUNCTION_NAME"] == name and "AWS_LAMBDA_RUNTIME_API" in env


def test_upper_layers_replace_and_delete(server, imported):
    name = create(server, imported("changed")["name"])
    found = server.invoke(name, {"read": ["/data/old", "/data/gone"], "list": ["/data", "/folder"]}).payload
    assert found["/data/old"] == "new" and found["/data/gone"] == "FileNotFoundError"
    assert found["/data"] == ["old"] and found["/folder"] == ["c"]


def test_the_configuration_replaces_the_images_own(server, lam, imported):
    image = imported("client")["name"]
    config = {"EntryPoint": ["python3", "-m", "awslambdaric"], "Command": ["look.handler"], "WorkingDirectory": "/app"}
    name = create(server, image, ImageConfig=config)
    assert server.invoke(name, {}).payload["cwd"] == "/app"
    told = lam.get_function_configuration(FunctionName=name)
    assert told["ImageConfigResponse"] == {"ImageConfig": config}
    lam.update_function_configuration(FunctionName=name, ImageConfig={})
    server.updated(name)
    assert server.invoke(name, {"n": 1}).payload["event"] == {"n": 1}
    assert "ImageConfigResponse" not in lam.get_function_configuration(FunctionName=name)
    other = imported("changed")
    lam.update_function_code(FunctionName=name, ImageUri=other["name"])
    server.updated(name)
    assert server.invoke(name, {"read": ["/data/old"]}).payload["/data/old"] == "new"
    version = lam.publish_version(FunctionName=name)["Version"]
    assert server.invoke(name, {"read": ["/data/old"]}, Qualifier=version).payload["/data/old"] == "new"


def test_a_template_deploys_an_image(server, name, imported, tmp_path):
    image = imported("client")["name"]
    (tmp_path / "template.yaml").write_text(f"""
Resources:
  Box:
    Type: AWS::Serverless::Function
    Properties: {{FunctionName: {name}, PackageType: Image, ImageUri: "{image}", ImageConfig: {{Command: [look.handler]}}}}
""")
    for change in ("created", "unchanged"):
        said = json.loads(server.samovar("deploy", tmp_path, "--json").stdout)
        assert [each["change"] for each in said["changes"]] == [change] and said["warnings"] == []
    assert server.invoke(name, {"read": ["/data/old"]}).payload["/data/old"] == "1"


BROKEN = {
    "/no/such/program": "the image has no such file",
    "nosuchprogram": "no such file on PATH",
    "/data/old": "no permission to be executed",
    "/etc": "it is no file",
    "/bad/aarch64": "for another processor (aarch64)",
    "/bad/script": "its interpreter /no/interpreter cannot be used",
    "/bad/musl": "its loader /lib/ld-musl-x86_64.so.1 cannot be used",
}


def elf(machine, loader):
    """The head of a program, and of its parts the one that names its loader."""
    text = loader.encode() + b"\0"
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 3, 4, 120, 0, 0, len(text), len(text), 1) + text + bytes(64)


@pytest.mark.parametrize("program", BROKEN)
def test_a_program_that_cannot_be_run_is_named_before_the_first_call(server, imported, name, program):
    server.client().create_function(FunctionName=name, PackageType="Image", Role=ROLE,
                                    Code={"ImageUri": imported("broken")["name"]},
                                    ImageConfig={"EntryPoint": [program], "Command": []})
    about = until(lambda: (c := server.client().get_function(FunctionName=name)["Configuration"])["State"] != "Pending" and c)
    assert about["State"] == "Failed" and about["StateReasonCode"] == "InvalidImage", about
    assert program in about["StateReason"] and BROKEN[program] in about["StateReason"], about
    assert "ImageConfig.EntryPoint" in about["StateReason"], "and what helps"


def test_an_update_to_a_program_that_cannot_be_run_leaves_what_runs(server, imported):
    name = create(server, imported("client")["name"])
    client = server.client()
    client.update_function_configuration(FunctionName=name, ImageConfig={"EntryPoint": ["/no/such/program"]})
    about = until(lambda: (c := client.get_function(FunctionName=name)["Configuration"])["LastUpdateStatus"]
                  != "InProgress" and c)
    assert about["LastUpdateStatus"] == "Failed" and "/no/such/program" in about["LastUpdateStatusReason"], about
    assert server.invoke(name, {"n": 1}).error == ""


def test_a_program_that_is_not_there_is_the_functions_error(server, imported):
    name = create(server, imported("client")["name"], ImageConfig={"EntryPoint": ["/no/such/program"]},
                  Tags={"samovar:check": "off"})
    answer = server.invoke(name, {})
    assert answer.payload["errorType"] == "Runtime.InvalidEntrypoint" and "/no/such/program" in answer.payload["errorMessage"]


def test_requests_that_cannot_be_are_refused_by_name(server, lam, name, imported):
    image = imported("client")["name"]
    ask = {"FunctionName": name, "Role": ROLE}
    as_image = {**ask, "PackageType": "Image"}
    zipped = {**ask, "Runtime": server.runtime(), "Handler": "app.handler", "Code": {"ZipFile": pack("x = 1")}}
    for call, word in (
            (dict(as_image, Code={"ImageUri": "nobody/has:this"}), "nobody/has:this"),
            (dict(as_image, Code={"ImageUri": "Not an image"}), "Not an image"),
            (dict(as_image, Code={"ZipFile": pack("x = 1")}), "ImageUri"),
            (dict(as_image, Code={"ImageUri": image}, Handler="app.handler"), "Handler"),
            (dict(as_image, Code={"ImageUri": image}, ImageConfig={"WorkingDirectory": "app"}), "WorkingDirectory"),
            (dict(as_image, Code={"ImageUri": image}, Tags={"samovar:http": "no port"}), "samovar:http"),
            (dict(zipped, ImageConfig={"Command": ["x"]}), "ImageConfig"),
            (dict(zipped, Tags={"samovar:http": "8080"}), "samovar:http"),
            (dict(zipped, Code={"ImageUri": image}), "ImageUri")):
        code, message = error(lam.create_function, **call)
        assert code == "InvalidParameterValueException" and word in message, (code, message)
    assert error(lam.get_function, FunctionName=name)[0] == "ResourceNotFoundException"
    lam.create_function(**zipped)
    server.active(name)
    assert "ImageUri" in error(lam.update_function_code, FunctionName=name, ImageUri=image)[1]
    boxed = create(server, image)
    assert "ImageUri" in error(lam.update_function_code, FunctionName=boxed, ZipFile=pack("x = 1"))[1]


def test_a_second_import_sends_nothing_and_a_tag_moves(server, layout, imported):
    first = imported("client")
    again = imported("client", first["name"])
    assert again["sent"] == 0 and again["digest"] == first["digest"]
    moved = imported("changed", first["name"])
    assert moved["digest"] != first["digest"] and moved["sent"] < moved["layers"]
    listed = json.loads(server.samovar("image", "list", "--json").stdout)["images"]
    assert [i["digest"] for i in listed if first["name"] in i["names"]] == [moved["digest"]]
    shown = json.loads(server.samovar("image", "show", first["name"], "--json").stdout)
    assert shown["command"] == ["look.handler"] and shown["working_folder"] == "/app" and shown["size"] > 0
    server.samovar("image", "delete", first["name"])
    assert server.samovar("image", "show", first["name"], check=False).returncode == 4


def test_a_function_keeps_the_image_whose_name_is_gone(server, imported):
    image = imported("client")["name"]
    name = create(server, image)
    server.samovar("image", "delete", image)
    assert server.invoke(name, {"n": 1}).error == ""


def test_what_docker_saves_is_taken(server, layout, tmp_path):
    archive = layout.docker_archive("client", tmp_path / "saved.tar", "team/saved:2")
    said = json.loads(server.samovar("image", "import", archive, "--json").stdout)
    assert said["name"].endswith("team/saved:2")
    packed = tmp_path / "packed.tar"
    subprocess.run(["tar", "-cf", packed, "-C", layout.path, "."], check=True)
    said = json.loads(server.samovar("image", "import", packed, "--tag", "client", "--json").stdout)
    assert said["name"] == "packed:client" and said["sent"] == 0
    assert server.invoke(create(server, said["name"]), {"n": 1}).error == ""


def send_layer(server, entries):
    """Sends a layer of (TarInfo, bytes), as a registry's user may make it."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for about, data in entries:
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))
    digest = "sha256:" + hashlib.sha256(raw.getvalue()).hexdigest()
    return digest, server.raw("PUT", f"/samovar/v1/image-layers/{digest}", raw.getvalue())


def entry(name, kind=tarfile.REGTYPE, link=""):
    about = tarfile.TarInfo(name)
    about.type, about.linkname = kind, link
    return about


def test_hostile_layers_are_refused_by_entry(server):
    for about, word in ((entry("../../escape"), "escape"), (entry("disk", tarfile.BLKTYPE), "disk"),
                        (entry("hard", tarfile.LNKTYPE, "../../../etc/passwd"), "etc/passwd"),
                        (entry("hard", tarfile.LNKTYPE, "etc/passwd"), "hard"), (entry("pipe", tarfile.FIFOTYPE), "pipe")):
        digest, reply = send_layer(server, [(about, b"")])
        assert reply.status == 400 and word in reply.json()["error"], reply.data
    digest, reply = send_layer(server, [(entry("ok"), b"1")])
    assert reply.status == 204
    other = "sha256:" + "0" * 64
    reply = server.raw("PUT", f"/samovar/v1/image-layers/{other}", b"no tar at all")
    assert reply.status == 400, reply.data
    reply = server.raw("POST", "/samovar/v1/images", json.dumps(
        {"name": "x:1", "manifest": "{}", "configuration": "{}"}))
    assert reply.status == 400
    assert server.raw("PUT", "/samovar/v1/image-layers/sha256:..%2f..", b"").status == 400
    images = server.get("/samovar/v1/images")["images"]
    assert all("x:1" not in image["names"] for image in images)


def test_links_of_an_image_lead_nowhere_but_into_it(server, layout, imported):
    layout.image("links", {}, of="client", cmd=["look.handler"])
    bundle = layout.folder / "links"
    subprocess.run(["umoci", "unpack", "--image", f"{layout.path}:links", bundle], check=True, capture_output=True)
    for name, to in (("host", "/../../../../../../work"), ("self", "/proc/1/root/etc/shadow")):
        (bundle / "rootfs" / name).symlink_to(to)
    for name in ("proc", "tmp", "mnt", "dev"):  # the platform's own folders, as links elsewhere
        shutil.rmtree(bundle / "rootfs" / name, ignore_errors=True)
        (bundle / "rootfs" / name).symlink_to("/etc")
    subprocess.run(["umoci", "repack", "--image", f"{layout.path}:links", bundle], check=True, capture_output=True)
    name = create(server, imported("links")["name"])
    found = server.invoke(name, {"list": ["/host", "/tmp", "/etc"], "read": ["/self", "/proc/self/stat"],
                                 "write": ["/tmp/x", "/etc/x"]}).payload
    assert found["/host"] is None and found["/tmp"] == [] and found["/tmp/x"] == "written"
    assert found["/self"] in ("PermissionError", "FileNotFoundError") and found["/etc/x"] != "written"
    assert "python3" in found["/proc/self/stat"]


def test_kill_9_in_an_import_leaves_no_half_image(fresh, layout, tmp_path):
    server = fresh()
    staging = server.data_dir / "images/staging"
    ended = threading.Event()

    def run():
        server.samovar("image", "import", layout.path, "--tag", "client", "--name", "k:1", check=False)
        ended.set()

    for wanted in ("tree", "about.json"):  # once at the first layer's files, once later
        ended.clear()
        threading.Thread(target=run).start()
        until(lambda: ended.is_set() or any(staging.glob(f"*/{wanted}")), what="a layer on its way")
        server.kill9()
        ended.wait(60)
        server.start()
        assert not any(staging.iterdir())
        kept = {p.name for p in (server.data_dir / "images/layers").iterdir()}
    said = json.loads(server.samovar("image", "import", layout.path, "--tag", "client", "--name", "k:1", "--json").stdout)
    assert said["sent"] <= said["layers"] - len(kept)
    assert server.invoke(create(server, "k:1"), {"n": 1}).error == ""
