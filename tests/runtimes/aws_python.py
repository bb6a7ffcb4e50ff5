"""Runs AWS's own Python runtime (awslambdaric) on some events and prints what it posts, as JSON.

    python aws_python.py CLIENT_FOLDER OUTPUT EVENTS    with the environment of a function

Only what talks to the network is replaced: the client that fetches events and posts answers.
"""

import json
import os
import sys

client_folder, output, events = sys.argv[1:4]
task = os.environ["LAMBDA_TASK_ROOT"]
opt = os.environ["SAMOVAR_LAYERS"]
site = "python/lib/python%d.%d/site-packages" % sys.version_info[:2]
sys.path[:] = [task, f"{opt}/{site}", f"{opt}/python", *sys.path[1:], client_folder]

from awslambdaric import bootstrap, lambda_runtime_client  # noqa: E402

posted = []


class Client(lambda_runtime_client.LambdaRuntimeClient):
    def __init__(self):
        super().__init__("127.0.0.1:0")
        self.events = iter(json.loads(events))

    def wait_next_invocation(self):
        event = next(self.events, None)
        if event is None:
            done()
        return lambda_runtime_client.InvocationRequest(**event)

    def post_invocation_result(self, invoke_id, result_data, content_type="application/json", *_):
        text = result_data.decode("latin-1") if isinstance(result_data, bytes) else result_data
        posted.append({"result": text, "content_type": content_type})

    def post_invocation_error(self, invoke_id, error_response_data, xray_fault, *_):
        posted.append({"error": json.loads(error_response_data)})

    def post_init_error(self, error_response_data, error_type_override=None):
        posted.append({"init_error": error_response_data})
        done()


def done():
    sys.stdout.flush()
    with open(output, "w") as file:
        json.dump(posted, file)
    os._exit(0)


bootstrap.run(os.environ["_HANDLER"], Client())
