"""`samovar`, the command: deploy, look, call, delete; exit codes and --json for scripts."""

import json
import re
import subprocess
import threading
import zipfile

import numpy
import pytest

from harness import BINARY, ROOT, clean_environment, unique, until

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage:
    Type: String
    Default: test
Globals:
  Function:
    Runtime: RUNTIME
    Timeout: 11
    Environment:
      Variables:
        STAGE: !Ref Stage
Resources:
  Words:
    Type: AWS::Serverless::LayerVersion
    Properties:
      LayerName: NAME-words
      ContentUri: layer/
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: NAME
      CodeUri: src/
      Handler: app.handler
      MemorySize: 192
      Layers: [!Ref Words]
      AutoPublishAlias: live
      Environment:
        Variables:
          OTHER: !Sub "${Stage}-${AWS::Region}"
      FunctionUrlConfig: {AuthType: NONE}
      ReservedConcurrentExecutions: 5
      EventInvokeConfig: {MaximumRetryAttempts: 1}
      Tags: {team: a}
  Queue:
    Type: AWS::SQS::Queue
Outputs:
  Arn:
    Value: !GetAtt Hello.Arn
"""
CODE = "import os, words\ndef handler(e, c):\n    print('ran', e)\n    return [os.environ['STAGE'], os.environ['OTHER'], words.WORD]\n"


@pytest.fixture
def project(server, tmp_path):
    name = unique("deployed")
    (tmp_path / "src").mkdir()
    (tmp_path / "layer/python").mkdir(parents=True)
    (tmp_path / "src/app.py").write_text(CODE)
    (tmp_path / "layer/python/words.py").write_text("WORD = 'w'\n")
    (tmp_path / "template.yaml").write_text(TEMPLATE.replace("NAME", name).replace("RUNTIME", server.runtime()))
    return type("Project", (), {"folder": tmp_path, "name": name})


def changes(done):
    return {(c["kind"], c["name"]): c["change"] if "change" in c else c["what"]
            for c in json.loads(done.out)["changes"]}


def test_deploy_reads_sam_and_is_idempotent(server, project):
    first = server.samovar("deploy", project.folder, "--json")
    report = json.loads(first.out)
    assert report["outputs"]["Arn"].endswith(f":function:{project.name}")
    assert any("AWS::SQS::Queue" in w for w in report["warnings"]) or "AWS::SQS::Queue" in first.err
    assert "created" in changes(first).values()
    assert server.invoke(project.name, 1, Qualifier="live").payload == ["test", "test-us-east-1", "w"]
    lam = server.client()
    got = lam.get_function(FunctionName=project.name)
    assert (got["Configuration"]["Timeout"], got["Configuration"]["MemorySize"]) == (11, 192)
    assert got["Concurrency"]["ReservedConcurrentExecutions"] == 5 and got["Tags"]["team"] == "a"
    revision = got["Configuration"]["RevisionId"]

    again = server.samovar("deploy", project.folder, "--json")
    assert set(changes(again).values()) == {"unchanged"}, changes(again)
    assert lam.get_function(FunctionName=project.name)["Configuration"]["RevisionId"] == revision
    assert lam.get_alias(FunctionName=project.name, Name="live")["FunctionVersion"] == "1"

    (project.folder / "src/app.py").write_text(CODE.replace("'ran'", "'ran again'"))
    third = server.samovar("deploy", project.folder, "--parameter", "Stage=prod")
    assert "updated" in third.out and project.name in third.out
    assert server.invoke(project.name, 1, Qualifier="live").payload[0] == "prod"
    assert lam.get_alias(FunctionName=project.name, Name="live")["FunctionVersion"] == "2"


CANARY = """
Resources:
  Fn:
    Type: AWS::Lambda::Function
    Properties: {FunctionName: NAME, Runtime: RUNTIME, Handler: app.handler, Code: src, Description: TEXT}
  Newest:
    Type: AWS::Lambda::Version
    Properties: {FunctionName: !Ref Fn}
  Live:
    Type: AWS::Lambda::Alias
    Properties:
      FunctionName: !Ref Fn
      FunctionVersion: LIVE
      Name: live
"""
WEIGHTS = "      RoutingConfig: {AdditionalVersionWeights: [{FunctionVersion: !GetAtt Newest.Version, FunctionWeight: 0.1}]}\n"


def test_an_alias_goes_where_its_template_says(server, tmp_path, name):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/app.py").write_text("def handler(e, c):\n    return c.function_version\n")

    def deploy(text, live, more=""):
        template = CANARY.replace("NAME", name).replace("RUNTIME", server.runtime()).replace("TEXT", text).replace("LIVE", live) + more
        (tmp_path / "template.yaml").write_text(template)
        change = [c for c in json.loads(server.samovar("deploy", tmp_path, "--json").out)["changes"] if c["kind"] == "alias"]
        alias = server.client().get_alias(FunctionName=name, Name="live")
        return change[0]["change"], alias["FunctionVersion"], alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})

    assert deploy("first", "!GetAtt Newest.Version") == ("created", "1", {})
    assert deploy("second", "'1'", WEIGHTS) == ("updated", "1", {"2": 0.1})
    assert deploy("second", "'1'", WEIGHTS) == ("unchanged", "1", {"2": 0.1})
    assert deploy("second", "'1'") == ("updated", "1", {})
    assert deploy("second", "!GetAtt Newest.Version") == ("updated", "2", {})


def test_a_dry_run_sends_nothing(server, project):
    done = server.samovar("deploy", project.folder, "--dry-run")
    assert project.name in done.out
    assert project.name not in server.samovar("list").out


def test_deploy_without_a_template(server, tmp_path):
    name = unique("bare")
    (tmp_path / "app.py").write_text("def handler(e, c):\n    return 'bare'\n")
    server.samovar("deploy", tmp_path, "--name", name)
    assert server.samovar("invoke", name).out.strip() == '"bare"'


def test_deploy_installs_requirements(server, tmp_path):
    """From a wheel made here, so that the test needs no network."""
    name, wheels = unique("required"), tmp_path / "wheels"
    code = tmp_path / "code"
    code.mkdir()
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "tiny_words-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_words.py", "WORD = 'installed'\n")
        wheel.writestr("tiny_words-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-words\nVersion: 1.0\n")
        wheel.writestr("tiny_words-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny_words-1.0.dist-info/RECORD", "")
    (code / "app.py").write_text("import tiny_words\ndef handler(e, c):\n    return tiny_words.WORD\n")
    (code / "requirements.txt").write_text("tiny-words==1.0\n")
    server.samovar("deploy", code, "--name", name, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))
    assert server.invoke(name).payload == "installed"


def test_a_wrong_template_is_told_with_its_line(server, tmp_path):
    (tmp_path / "template.yaml").write_text("Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n"
                                            "      Handler: !Nonsense a\n")
    done = server.samovar("deploy", tmp_path, check=False)
    assert done.returncode == 2 and "template.yaml:" in done.err, done.err


def test_list_show_invoke_logs_usage_delete(server, project):
    server.samovar("deploy", project.folder)
    name = project.name
    assert re.search(rf"{name}\s", server.samovar("list").out)
    assert name in [f["FunctionName"] for f in json.loads(server.samovar("list", "--json").out)["functions"]]
    shown = server.samovar("show", name).out
    for word in (name, "live", "192", "lambda-url"):
        assert word in shown, (word, shown)
    assert json.loads(server.samovar("show", name, "--json").out)["function"]["Configuration"]["FunctionName"] == name
    called = server.samovar("invoke", name, "--payload", '{"n": 1}', "--log")
    assert json.loads(called.out)[2] == "w" and "REPORT RequestId" in called.err
    piped = server.samovar("invoke", name, "--payload", "-", "--qualifier", "live", stdin=b'{"n": 2}')
    assert json.loads(piped.out)[2] == "w"
    as_json = json.loads(server.samovar("invoke", name, "--json").out)
    assert as_json["StatusCode"] == 200 and as_json["Payload"][2] == "w"
    server.samovar("invoke", name, "--async", "--payload", '{"n": 3}')
    until(lambda: "ran {'n': 3}" in server.samovar("logs", name).out, 60, "the event's line")
    lines = [json.loads(l) for l in server.samovar("logs", name, "--json").out.splitlines()]
    assert any(l["message"].startswith("ran") for l in lines)
    assert len(server.samovar("logs", name, "--limit", "2").out.splitlines()) == 2
    usage = json.loads(server.samovar("usage", name, "--json").out)
    assert sum(u["invocations"] for u in usage["usage"]) >= 3 and "aws_price_usd" in usage
    top = json.loads(server.samovar("top", "--json").out)
    assert name in json.dumps(top)
    server.samovar("delete", name)
    assert name not in server.samovar("list").out
    assert server.samovar("show", name, check=False).returncode == 4


def test_logs_follow(server, name):
    server.create("def handler(e, c):\n    print('followed', e)\n", name=name)
    follow = subprocess.Popen([BINARY, "logs", name, "--follow"], stdout=subprocess.PIPE, text=True,
                              env={**clean_environment(), "AWS_ENDPOINT_URL": server.endpoint})
    try:
        seen = []
        reader = threading.Thread(target=lambda: [seen.append(line) for line in follow.stdout], daemon=True)
        reader.start()

        def found():
            server.invoke(name, len(seen))
            return any("followed" in line for line in seen)

        until(found, 60, "a followed line")
    finally:
        follow.terminate()
        follow.wait(60)


def test_stream(server, name):
    code = "export const handler = awslambda.streamifyResponse(async (e, s) => { s.write('one '); s.write('two'); s.end(); });\n"
    server.create({"index.mjs": code}, name=name, runtime=server.runtime("nodejs"), handler="index.handler")
    assert server.samovar("invoke", name, "--stream").out == "one two"


@pytest.mark.parametrize("args, code", [
    (["show", "absent"], 4), (["invoke", "absent"], 4), (["delete", "absent"], 4), (["nonsense"], 2), ([], 2),
    (["invoke"], 2), (["deploy", "/nowhere"], 2), (["invoke", "x", "--async", "--stream"], 2)])
def test_exit_codes(server, args, code):
    done = server.samovar(*args, check=False)
    assert done.returncode == code, (done.out, done.err)


@pytest.mark.parametrize("args", [
    ["deploy", "FILE"], ["deploy", ".", "--template", "FILE"], ["build", "FILE"], ["model", "export", "FILE", "-o", "x"],
    ["collections", "load", "x", "FILE.csv"], ["collections", "load", "x", "made.npy", "--ids", "FILE"],
    ["check", "FILE", "--runtime", "python3.11"], ["image", "import", "FILE"], ["invoke", "x", "--payload-file", "FILE"],
    ["serve", "--config", "FILE"], ["config", "--config", "FILE"]], ids=" ".join)
def test_a_file_that_is_not_there_is_wrong_input_of_every_command(server, tmp_path, args):
    numpy.save(tmp_path / "made.npy", numpy.zeros((1, 3), numpy.float32))
    absent = str(tmp_path / "absent")
    args = [str(tmp_path / arg) if arg == "made.npy" else arg.replace("FILE", absent) for arg in args]
    done = server.samovar(*args, check=False)
    assert done.returncode == 2 and "samovar: " in done.err and absent in done.err, (done.out, done.err)


@pytest.mark.parametrize("args", [["--help"], ["list", "--help"], ["--version"], ["version"], ["completion", "bash"], ["config"]],
                         ids=" ".join)
def test_what_cannot_be_printed_is_an_error(args):
    with open("/dev/full", "w") as full:
        done = subprocess.run([BINARY, *args], stdout=full, stderr=subprocess.PIPE, text=True, env=clean_environment(), timeout=120)
    assert done.returncode == 2 and "write to standard output: No space left on device" in done.stderr


def test_show_lists_all_pages_of_aliases(server, name):
    server.create("def handler(e, c):\n    return 1\n", name=name)
    client, aliases = server.client(), [f"a{number:02}" for number in range(55)]
    for alias in aliases:
        client.create_alias(FunctionName=name, Name=alias, FunctionVersion="$LATEST")
    assert [alias["Name"] for alias in json.loads(server.samovar("show", name, "--json").out)["aliases"]] == aliases
    assert "a54" in server.samovar("show", name).out


def test_wrong_command_lines_are_told_as_all_errors_are(server, tmp_path):
    (tmp_path / "notes.txt").write_text("no template")
    for args, words in ((["nonsense"], "samovar: there is no command nonsense"),
                        (["invoke"], "samovar: NAME is required\n`samovar invoke --help` says more"),
                        (["collections", "grow"], "samovar: there is no command collections grow\n`samovar collections --help`"),
                        (["keys", "delete"], "samovar: ID is required\n`samovar keys delete --help` says more"),
                        (["list", "--wrong"], "--wrong"),
                        (["deploy", tmp_path / "notes.txt"], "notes.txt: expected a folder, a template")):
        assert words in server.samovar(*args, check=False).err
    told = json.loads(server.samovar("list", "--wrong", "--json", check=False).err)
    assert "--wrong" in told["error"] and told["code"]
    assert "no calls of absent since" in server.samovar("usage", "absent").err


def test_each_verb_has_the_common_options_and_its_own_examples(server):
    for command, verbs in (("collections", ["create", "load", "search", "stats"]), ("keys", ["create", "delete"]),
                           ("image", ["import", "show", "delete"]), ("packages", ["prune"])):
        for verb in verbs:
            told = server.samovar(command, verb, "--help").out
            examples = [line for line in told.splitlines() if line.startswith("  samovar ")]
            assert "--json" in told and "--endpoint" in told, told
            assert examples and all(line.startswith(f"  samovar {command} {verb}") for line in examples), told


def test_exit_codes_of_failing_functions_and_absent_servers(server, name):
    server.create("def handler(e, c):\n    raise ValueError('no')\n", name=name)
    failed = server.samovar("invoke", name, check=False)
    assert failed.returncode == 1 and "ValueError: no" in failed.err and json.loads(failed.out)["errorType"] == "ValueError"
    away = subprocess.run([BINARY, "list", "--endpoint", "http://127.0.0.1:1"], capture_output=True, text=True,
                          env=clean_environment(), timeout=120)
    assert away.returncode == 3 and "127.0.0.1:1" in away.stderr
    assert json.loads(server.samovar("show", "absent", "--json", check=False).err)["error"]


def test_the_recall_of_no_rows_is_not_measured(server, films):
    assert "recall       not measured: there are no rows" in server.samovar("collections", "stats", films, "--recall").out


def test_the_recall_of_no_rows_is_not_measured(server, films):
    assert "recall       not measured: there are no rows" in server.samovar("collections", "stats", films, "--recall").out


def test_no_colours_outside_a_terminal(server):
    for args in (["list"], ["runtimes"], ["config"], ["version"], ["--help"]):
        assert "\x1b[" not in server.samovar(*args).out


def test_runtimes_config_version_completion(server):
    assert server.runtime() in server.samovar("runtimes").out
    assert json.loads(server.samovar("runtimes", "--json").out)["runtimes"]
    config = server.samovar("config").out
    assert "limits.queue_wait" in config and "listen" in config
    assert server.samovar("config", "--markdown").out == (ROOT / "docs/configuration.md").read_text()
    assert re.match(r"samovar \d+\.\d+\.\d+", server.samovar("version").out)
    for shell in ("bash", "zsh", "fish"):
        assert "invoke" in server.samovar("completion", shell).out


def test_bash_completes_subcommands(server):
    script = server.samovar("completion", "bash").out
    done = subprocess.run(["bash", "--norc", "-c", script + """
COMP_WORDS=(samovar in); COMP_CWORD=1; COMP_LINE='samovar in'; COMP_POINT=10
f=$(complete -p samovar | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $f samovar in samovar; printf '%s\\n' "${COMPREPLY[@]}"
"""], capture_output=True, text=True, timeout=120)
    assert "invoke" in done.stdout.split(), (done.stdout, done.stderr)


def test_top_shows_a_table(server, echo):
    server.invoke(echo)
    assert echo in server.samovar("top").out


def test_the_servers_settings_are_checked(tmp_path):
    config = tmp_path / "samovar.yaml"
    config.write_text("limits:\n  queue_wait: soon\n")
    done = subprocess.run([BINARY, "serve", "--config", config, "--data-dir", tmp_path / "d"], capture_output=True,
                          text=True, timeout=120, env=clean_environment())
    assert done.returncode == 2 and f"{config}:2" in done.stderr and "queue_wait" in done.stderr, done.stderr
    config.write_text("misspelt: 1\n")
    done = subprocess.run([BINARY, "serve", "--config", config], capture_output=True, text=True, timeout=120,
                          env=clean_environment())
    assert done.returncode == 2 and "misspelt" in done.stderr
