#!/usr/bin/env python3
"""Sends real days to the supermarket function, each client in turn, and prints predictions beside the
true counts: demo_calls.py SAMOVAR TEST_ROWS. The server is the one of AWS_ENDPOINT_URL."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import boto3

ROWS_EACH = 4
DUMMY = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1", "AWS_PAGER": ""}
os.environ.update({name: os.environ.get(name, value) for name, value in DUMMY.items()})
lambda_ = boto3.client("lambda")


def run(*command, stdin=None):
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return done.stdout


def with_aws_cli(event, samovar):
    aws = pathlib.Path(sys.executable).with_name("aws")
    with tempfile.TemporaryDirectory() as folder:
        request, answer = pathlib.Path(folder, "request.json"), pathlib.Path(folder, "answer.json")
        request.write_text(event)
        run(aws, "lambda", "invoke", "--function-name", "supermarket:live", "--payload", f"fileb://{request}", answer)
        return answer.read_text()


def with_boto3(event, samovar):
    return lambda_.invoke(FunctionName="supermarket", Qualifier="live", Payload=event)["Payload"].read()


def with_samovar(event, samovar):
    return run(samovar, "invoke", "supermarket", "--qualifier", "live", "--payload", "-", stdin=event)


def url():
    for config in ({"Qualifier": "live"}, {}):
        try:
            return lambda_.get_function_url_config(FunctionName="supermarket", **config)["FunctionUrl"]
        except lambda_.exceptions.ResourceNotFoundException:
            continue
    sys.exit("the function has no URL")


def with_url(event, samovar):
    return run("curl", "-fsS", "-H", "Content-Type: application/json", "--data-binary", "@-", url(),
               stdin=event)


CLIENTS = {"AWS CLI": with_aws_cli, "boto3": with_boto3, "samovar invoke": with_samovar, "curl, function URL": with_url}


def timed(rows, count):
    """Seconds of `count` calls, one after the other, as boto3 sees them."""
    event, times = json.dumps({"instances": rows}), []
    for _ in range(count):
        began = time.perf_counter()
        with_boto3(event, None)
        times.append(time.perf_counter() - began)
    return times


def main():
    samovar = sys.argv[1]
    data = json.loads(pathlib.Path(sys.argv[2]).read_text())
    rows = data["rows"]
    warm = sorted(timed([rows[0]["features"]], 100))
    print(f"  {'through':<20}{'day':<12}{'predicted':>10}{'came':>8}")
    for number, (client, call) in enumerate(CLIENTS.items()):
        chosen = rows[number * ROWS_EACH:(number + 1) * ROWS_EACH]
        answer = json.loads(call(json.dumps({"instances": [row["features"] for row in chosen]}), samovar))
        if "predictions" not in answer:
            sys.exit(f"{client}: {answer}")
        for row, predicted in zip(chosen, answer["predictions"]):
            print(f"  {client:<20}{row['day']:<12}{predicted:>10.1f}{row['customers']:>8}")
            client = ""
    print(f"\n  {warm[50] * 1000:.1f} ms a call (median of 100 through boto3)")


if __name__ == "__main__":
    main()
