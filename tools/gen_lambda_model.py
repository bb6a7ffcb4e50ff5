#!/usr/bin/env python3
"""Writes src/wire/lambda_model_data.cc from botocore's service model of AWS Lambda.

    python3 tools/gen_lambda_model.py            # writes the file
    python3 tools/gen_lambda_model.py --check    # exits 1 where the file is not what it would write

The file holds one JSON text, {"operations": [...], "shapes": [...]}, as string literals: cheap to
compile, read once when a LambdaModel is made. Only what an input can reach is kept, without the
documentation. Keys of a shape, each left out where it says nothing:

    t        s(tring) i(nteger) l(ong) d(ouble) b(oolean) x (blob) T(imestamp) {(structure) [(list) m(ap)
    lo, hi   bounds: of a value, or of a length or count
    re       the pattern as AWS's messages print it;  ok / no: what a value must and must not match
             in RE2, where the pattern looks around (RE2 does not)
    enum     values, in the order in which AWS's messages print them; also: accepted, never printed
    of, key  indexes of a list's members, of a map's values and keys
    members  [name, where, wire name, shape, required], where: u(ri) q(uery) h(eader) b(ody)
    secret   the value is never printed
    null     a list's members may be null, so messages do not say that they must not
"""

import argparse
import gzip
import json
import pathlib
import sys

import botocore

OUT = pathlib.Path(__file__).resolve().parent.parent / "src/wire/lambda_model_data.cc"

# The model's patterns lag behind what AWS answers; these are the texts of its answers (recorded in
# November 2025).
EUSC = ("[a-z]{2}((-gov)|", "(eusc-)?[a-z]{2}((-gov)|")
REGION = r"(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}"
PATTERNS = {
    "LayerVersionArn": r"(arn:(aws[a-zA-Z-]*)?:lambda:" + REGION + r":\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)"
                       r"|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)",
    "TaggableResource": r"arn:(aws[a-zA-Z-]*):lambda:" + REGION + r":\d{12}:(function:[a-zA-Z0-9-_]+"
                        r"(:(\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|code-signing-config:csc-"
                        r"[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-"
                        r"[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|capacity-provider:[a-zA-Z0-9-_]+)",
    "SubnetId": "subnet-[0-9a-z]*",
    "SecurityGroupId": "sg-[0-9a-zA-Z]*",
}
LENGTHS = {"SubnetId": (0, 1024), "SecurityGroupId": (0, 1024), "LayerVersionArn": (1, 2048)}
NULLABLE = {"SubnetId", "SecurityGroupId"}  # as members of a list
# Patterns that look around, taken apart: (must match, must not match).
LOOKAROUND = {
    r"(?!^[0-9]+$)([a-zA-Z0-9-_]+)": (r"[a-zA-Z0-9-_]+", r"[0-9]+"),
    r"((?!^\d+$)^[0-9a-zA-Z-_]+$)": (r"[0-9a-zA-Z-_]+", r"[0-9]+"),
    r"(^(?!(system\x2e)))(^[_a-zA-Z0-9])([^$]*)": (r"[_a-zA-Z0-9][^$]*", r"system\.(?s:.*)"),
    r"[0-9A-Za-z\.\-_]*(?<!\.)": (r"[0-9A-Za-z.\-_]*", r"(?s:.*)\."),
}
# RE2 asks for a full match anyway, so anchors in the middle of an alternative must go.
ANCHORS = {"FileSystemArn", "DestinationArn"}

# Orders in which AWS prints enums, where a recorded answer shows it. A longer list than the model's
# is accepted; a shorter one is what is printed.
LAYER_RUNTIMES = (
    "nodejs20.x python3.14 provided.al2023 python3.12 python3.13 nodejs24.x nodejs22.x java25 "
    "python3.10 python3.11 java21 ruby3.3 ruby3.4 ruby3.2 python3.8 python3.9 java17 nodejs16.x "
    "dotnet10 dotnet8 java11 dotnet6 nodejs18.x provided.al2 java8.al2").split()
ALL_RUNTIMES = (
    "ruby3.5 ruby2.6 dotnetcore1.0 python3.7 nodejs8.10 nasa ruby2.7 python2.7-greengrass "
    "dotnetcore2.0 python3.8 java21 dotnet6 dotnetcore2.1 python3.9 java11 nodejs6.10 provided "
    "dotnetcore3.1 dotnet8 java25 java17 nodejs nodejs4.3 java8.al2 go1.x dotnet10 nodejs20.x go1.9 "
    "byol nodejs10.x provided.al2023 nodejs22.x python3.10 java8 nodejs12.x python3.11 nodejs24.x "
    "nodejs8.x python3.12 nodejs14.x nodejs8.9 nodejs26.x python3.13 python3.14 nodejs16.x "
    "python3.15 provided.al2 nodejs4.3-edge nodejs18.x ruby3.2 python3.4 ruby3.3 ruby3.4 ruby2.5 "
    "python3.6 python2.7").split()
ENUMS = {
    "FunctionUrlInvokeMode": ["RESPONSE_STREAM", "BUFFERED"],
    "InvokeMode": ["RESPONSE_STREAM", "BUFFERED"],
    "RecursiveLoop": ["Terminate", "Allow"],
    "EventSourcePosition": ["LATEST", "AT_TIMESTAMP", "TRIM_HORIZON"],
    "Runtime": ALL_RUNTIMES,
}
# Members whose values the registry judges, with an error of another name (a runtime unknown to
# CreateFunction is an InvalidParameterValueException, and Runtime may also be an ARN).
PLAIN_MEMBERS = {("CreateFunctionRequest", "Runtime"),
                 ("UpdateFunctionConfigurationRequest", "Runtime")}

TYPES = {"string": "s", "integer": "i", "long": "l", "double": "d", "float": "d", "boolean": "b",
         "blob": "x", "timestamp": "T", "structure": "{", "list": "[", "map": "m"}
PLACES = {"uri": "u", "querystring": "q", "header": "h", None: "b"}


class Writer:
    def __init__(self, model):
        self.model = model["shapes"]
        self.shapes = []
        self.index = {}

    def shape(self, name, plain=False):
        """The index of a shape, which it adds where it is new."""
        key = (name, plain)
        if key in self.index:
            return self.index[key]
        at = self.index[key] = len(self.shapes)
        self.shapes.append(None)
        self.shapes[at] = self.describe(name, plain)
        return at

    def describe(self, name, plain):
        shape = self.model[name]
        out = {"t": TYPES[shape["type"]]}
        low, high = LENGTHS.get(name, (shape.get("min"), shape.get("max")))
        if low is not None:
            out["lo"] = low
        if high is not None:
            out["hi"] = high
        pattern = PATTERNS.get(name, shape.get("pattern"))
        if pattern and pattern not in (".*", r"[\s\S]*"):
            self.pattern(out, name, pattern.replace(*EUSC) if name not in PATTERNS else pattern)
        if "enum" in shape and not plain:
            out["enum"] = ENUMS.get(name, shape["enum"])
            more = [v for v in shape["enum"] if v not in out["enum"]]
            if more:
                out["also"] = more
        if shape.get("sensitive"):
            out["secret"] = True
        if shape["type"] == "list":
            out["of"] = self.shape(shape["member"]["shape"])
            if shape["member"]["shape"] in NULLABLE:
                out["null"] = True
            if name == "CompatibleRuntimes":
                # AWS prints the current runtimes only, and takes every one that it lists elsewhere.
                out["null"] = True
                out["of"] = self.raw("LayerRuntime", {"t": "s", "enum": LAYER_RUNTIMES, "also": [
                    v for v in dict.fromkeys(ALL_RUNTIMES + self.model["Runtime"]["enum"])
                    if v not in LAYER_RUNTIMES]})
        if shape["type"] == "map":
            out["key"] = self.shape(shape["key"]["shape"])
            out["of"] = self.shape(shape["value"]["shape"])
        if shape["type"] == "structure":
            required = set(shape.get("required", []))
            out["members"] = [
                [member, PLACES[ref.get("location")], ref.get("locationName", member),
                 self.shape(ref["shape"], (name, member) in PLAIN_MEMBERS), member in required]
                for member, ref in shape["members"].items()]
        return out

    def raw(self, name, out):
        self.index[(name, False)] = len(self.shapes)
        self.shapes.append(out)
        return len(self.shapes) - 1

    @staticmethod
    def pattern(out, name, pattern):
        out["re"] = pattern
        if pattern in LOOKAROUND:
            out["ok"], out["no"] = LOOKAROUND[pattern]
        elif any(mark in pattern for mark in ("(?!", "(?=", "(?<")):
            sys.exit(f"{name}: {pattern!r} looks around; give RE2 an equal of it in LOOKAROUND")
        elif name in ANCHORS:
            out["ok"] = pattern.replace("$|^", "|").replace("$|kafka", "|kafka")


# The model says 200, as it has room for a 202; what AWS answers for a function is 204.
STATUS = {"DeleteFunction": 204}


def operation(writer, op):
    """[name, method, path, success status, payload member, index of the input shape]"""
    payload = writer.model[op["input"]["shape"]].get("payload", "")
    return [op["name"], op["http"]["method"], op["http"]["requestUri"],
            STATUS.get(op["name"], op["http"].get("responseCode", 200)), payload, writer.shape(op["input"]["shape"])]


def literals(text, width=3600):
    """The text as raw string literals, none longer than compilers must take."""
    for start in range(0, len(text), width):
        piece = text[start:start + width]
        assert ')json"' not in piece
        yield f'    R"json({piece})json",'


def render():
    path = pathlib.Path(botocore.__path__[0]) / "data/lambda/2015-03-31/service-2.json.gz"
    model = json.loads(gzip.decompress(path.read_bytes()))
    writer = Writer(model)
    operations = [operation(writer, op) for _, op in sorted(model["operations"].items())]
    text = json.dumps({"operations": operations, "shapes": writer.shapes}, separators=(",", ":"))
    assert text.isascii()
    return "\n".join([
        "// Generated by tools/gen_lambda_model.py; do not edit.",
        f"// From botocore {botocore.__version__}, data/lambda/2015-03-31/service-2.json: AWS Lambda's service",
        "// model, Copyright Amazon.com, Inc. or its affiliates, Apache License 2.0",
        "// (https://www.apache.org/licenses/LICENSE-2.0). Documentation and outputs left out; patterns and",
        "// enum orders brought up to date from recorded answers.",
        "// clang-format off",
        '#include "wire/lambda_model_data.h"',
        "",
        "namespace samovar {",
        "",
        "const std::vector<std::string_view>& LambdaModelJson() {",
        "  static const std::vector<std::string_view> pieces = {",
        *literals(text),
        "  };",
        "  return pieces;",
        "}",
        "",
        "}  // namespace samovar",
        ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    args = parser.parse_args()
    text = render()
    if args.check:
        sys.exit(0 if OUT.read_text() == text else f"{OUT.name} is not what botocore {botocore.__version__} gives")
    OUT.write_text(text)


if __name__ == "__main__":
    main()
