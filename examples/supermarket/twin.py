#!/usr/bin/env python3
"""Puts the ONNX model beside the Python pipeline, behind the same alias: twin.py MODEL.onnx ROWS.json [FUNCTION]

The function gets another version, of runtime onnx, and the alias `live` sends half of its calls to each. Then
both are asked the same days, and what they answer, how fast, and the memory that they take are printed side by
side. Everything goes through the Lambda API; the server is the one of AWS_ENDPOINT_URL. A second run finds the
version that the first one made.
"""

import base64
import collections
import hashlib
import io
import json
import os
import pathlib
import re
import sys
import time
import zipfile

import boto3

FUNCTION, ALIAS = sys.argv[3] if len(sys.argv) > 3 else "supermarket", "live"
CALLS = 100
DUMMY = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
os.environ.update({name: os.environ.get(name, value) for name, value in DUMMY.items()})
lambda_ = boto3.client("lambda")


def package(model):
    """A zip that is the same for the same model."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("model.onnx", (2026, 1, 1, 0, 0, 0)), model)
    return out.getvalue()


def versions():
    pages = lambda_.get_paginator("list_versions_by_function").paginate(FunctionName=FUNCTION)
    return [version for page in pages for version in page["Versions"] if version["Version"] != "$LATEST"]


def settle():
    often = {"Delay": 0.1, "MaxAttempts": 600}
    lambda_.get_waiter("function_updated_v2").wait(FunctionName=FUNCTION, WaiterConfig=often)


def publish_onnx(code):
    """The version with this model. What $LATEST has is put back afterwards."""
    latest = lambda_.get_function_configuration(FunctionName=FUNCTION)
    lambda_.update_function_configuration(FunctionName=FUNCTION, Runtime="onnx", Handler="model.onnx")
    settle()
    lambda_.update_function_code(FunctionName=FUNCTION, ZipFile=code)
    settle()
    made = lambda_.publish_version(FunctionName=FUNCTION, Description="the ONNX twin")["Version"]
    lambda_.update_function_configuration(FunctionName=FUNCTION, Runtime=latest["Runtime"], Handler=latest["Handler"])
    settle()
    known = base64.b64decode(latest["CodeSha256"]).hex()  # the server still has that package
    lambda_.update_function_code(FunctionName=FUNCTION, S3Bucket="samovar-uploads", S3Key=known)
    settle()
    return made


def find_or_publish(code, memory):
    sha256 = base64.b64encode(hashlib.sha256(code).digest()).decode()
    for version in reversed(versions()):
        if (version["CodeSha256"], version["Runtime"], version["MemorySize"]) == (sha256, "onnx", memory):
            return version["Version"]
    return publish_onnx(code)


def ask(event, qualifier):
    """Predictions, seconds, the version that answered, and the MB of its report."""
    began = time.perf_counter()
    answer = lambda_.invoke(FunctionName=FUNCTION, Qualifier=qualifier, LogType="Tail", Payload=json.dumps(event))
    body = json.loads(answer["Payload"].read())
    took = time.perf_counter() - began
    if "predictions" not in body:
        sys.exit(f"version {answer['ExecutedVersion']} answered {body}")
    report = re.search(r"Max Memory Used: (\d+) MB", base64.b64decode(answer["LogResult"]).decode())
    return body["predictions"], took, answer["ExecutedVersion"], int(report[1]) if report else 0


def measure(qualifiers, rows):
    """Of each version: the first call, the median of the others, and the memory; asked in turn."""
    first = {each: ask({"instances": rows[:1]}, each)[1] for each in qualifiers}
    times, memory = collections.defaultdict(list), collections.Counter()
    for number in range(CALLS):
        for each in qualifiers:
            _, took, _, used = ask({"instances": [rows[number % len(rows)]]}, each)
            times[each].append(took)
            memory[each] = max(memory[each], used)
    return {each: (first[each], sorted(times[each])[CALLS // 2], memory[each]) for each in qualifiers}


def main():
    code = package(pathlib.Path(sys.argv[1]).read_bytes())
    rows = [row["features"] for row in json.loads(pathlib.Path(sys.argv[2]).read_text())["rows"]]
    live = lambda_.get_alias(FunctionName=FUNCTION, Name=ALIAS)
    python = live["FunctionVersion"]
    onnx = find_or_publish(code, lambda_.get_function_configuration(FunctionName=FUNCTION)["MemorySize"])

    print(f"  {'version':<10}{'runtime':<14}{'first call':>12}{'median of ' + str(CALLS):>16}{'memory':>10}")
    runtimes = {version["Version"]: version["Runtime"] for version in versions()}
    for version, (first, median, memory) in measure((python, onnx), rows).items():
        print(f"  {version:<10}{runtimes[version]:<14}{first * 1000:>9.0f} ms{median * 1000:>13.1f} ms{memory:>7} MB")
    one, other = (ask({"instances": rows}, each)[0] for each in (python, onnx))
    largest = max(abs(a - b) for a, b in zip(one, other, strict=True))
    print(f"\n  {len(rows)} days asked of both: the largest difference of a prediction is {largest:.1e}")
    if largest > 1e-4:
        sys.exit("the two must not differ by more than 1e-4")
    lambda_.update_alias(FunctionName=FUNCTION, Name=ALIAS, FunctionVersion=python,
                         RoutingConfig={"AdditionalVersionWeights": {onnx: 0.5}})
    answered = collections.Counter(ask({"instances": rows[:1]}, ALIAS)[2] for _ in range(CALLS))
    print(f"  {CALLS} calls of the alias {ALIAS}: {answered[python]} answered by version {python}, "
          f"{answered[onnx]} by version {onnx}")


if __name__ == "__main__":
    main()
