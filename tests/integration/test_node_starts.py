"""Node.js functions in processes that were booted before anybody called: they see what fresh ones do."""

from harness import pack, unique, until

CODE = """
const fs = require('node:fs');
exports.handler = async () => ({
  ahead: fs.readFileSync('/proc/self/environ', 'latin1').includes('SAMOVAR_GENERIC=1'),
  env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !/STREAM|GROUP|FUNCTION_NAME|TRACE/.test(name))),
  name: process.env.AWS_LAMBDA_FUNCTION_NAME, cwd: process.cwd(), task: fs.readdirSync('/var/task'),
  tmp: fs.readdirSync('/tmp'), size: fs.statfsSync('/tmp').blocks, control: fs.existsSync('/proc/self/fd/4'),
  resolved: require('in-layer'), zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
});
"""


def start(server, layer, **more):
    name = unique("node")
    server.create({"index.js": CODE}, name=name, runtime=server.runtime("nodejs"), handler="index.handler", Layers=[layer],
                  Environment={"Variables": {"OWN": "mine", "TZ": "Europe/Prague"}}, **more)
    answer = server.invoke(name, {})
    assert not answer.error, answer.payload
    assert answer.payload["name"] == name
    return answer.payload


def test_a_booted_process_takes_a_function_in_as_if_it_were_fresh(server, lam):
    files = {"nodejs/node_modules/in-layer/index.js": "module.exports = 'from the layer';"}
    layer = lam.publish_layer_version(LayerName=unique("layer"), Content={"ZipFile": pack(files)})["LayerVersionArn"]
    fresh = start(server, layer, Tags={"samovar:clone": "off"})
    assert not fresh["ahead"] and fresh["resolved"] == "from the layer" and fresh["zone"] == "Europe/Prague"

    def ahead():
        seen = start(server, layer)
        return seen if seen["ahead"] else None
    taken = until(ahead, 60, "a process that was booted ahead")
    for what in ("env", "cwd", "task", "tmp", "size", "resolved", "zone"):
        assert taken[what] == fresh[what], what
    assert taken["env"]["OWN"] == "mine" and not taken["control"]
