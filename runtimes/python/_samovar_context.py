"""LambdaContext: what a handler gets as its second argument; the attributes are AWS's."""

import json
import os
import sys
import time

from _samovar_log import Fault

_FIXED = {}


def take_environment():
    """Reads what contexts say of the instance; a clone does so again."""
    for attribute, name in (
        ("log_group_name", "AWS_LAMBDA_LOG_GROUP_NAME"),
        ("log_stream_name", "AWS_LAMBDA_LOG_STREAM_NAME"),
        ("function_name", "AWS_LAMBDA_FUNCTION_NAME"),
        ("memory_limit_in_mb", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
        ("function_version", "AWS_LAMBDA_FUNCTION_VERSION"),
    ):
        _FIXED[attribute] = os.environ.get(name)


take_environment()
_W3C = ("traceparent", "tracestate", "baggage")


class _Record:
    """A plain object with the attributes of __slots__, None where the source has none."""

    __slots__ = ()

    def __init__(self, values):
        for name in self.__slots__:
            setattr(self, name, values.get(name))

    def __repr__(self):
        inside = ",".join("%s=%s" % (name, getattr(self, name)) for name in self.__slots__)
        return "%s([%s])" % (type(self).__name__, inside)


class CognitoIdentity(_Record):
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")


class Client(_Record):
    __slots__ = (
        "installation_id",
        "app_title",
        "app_version_name",
        "app_version_code",
        "app_package_name",
    )


class ClientContext(_Record):
    __slots__ = ("custom", "env", "client")


def context_fields():
    """The attributes of a context whose call says nothing but an id and a deadline."""
    return {
        "aws_request_id": None,
        **_FIXED,
        "invoked_function_arn": None,
        "tenant_id": None,
        "_w3c_fields": {},
        "client_context": None,
        "identity": None,
        "_epoch_deadline_time_in_ms": 0,
    }


class LambdaContext:
    def __init__(self, invoke_id, deadline_ms, arn, client_context, identity, tenant_id):
        self.__dict__ = fields = context_fields()
        fields["aws_request_id"] = invoke_id
        fields["invoked_function_arn"] = arn
        fields["tenant_id"] = tenant_id or None
        fields["_epoch_deadline_time_in_ms"] = deadline_ms
        if client_context:
            self._take_client_context(_parse("Client Context", client_context))
        values = (identity and _parse("Cognito Identity", identity)) or {}
        self.identity = who = CognitoIdentity.__new__(CognitoIdentity)
        who.cognito_identity_id = values.get("cognitoIdentityId")
        who.cognito_identity_pool_id = values.get("cognitoIdentityPoolId")

    def _take_client_context(self, values):
        if values is None:
            return
        w3c = values.pop("w3c", None)
        if isinstance(w3c, dict):
            self._w3c_fields = {n: w3c[n] for n in _W3C if isinstance(w3c.get(n), str)}
        self.client_context = ClientContext(values)
        if self.client_context.client is not None:
            self.client_context.client = Client(self.client_context.client)

    def get_remaining_time_in_millis(self):
        left = self._epoch_deadline_time_in_ms - int(time.time() * 1000)
        return left if left > 0 else 0

    def w3c(self):
        return dict(self._w3c_fields)

    def log(self, msg):
        sys.stdout.write(str(msg))

    def __repr__(self):
        shown = (
            "aws_request_id",
            "log_group_name",
            "log_stream_name",
            "function_name",
            "memory_limit_in_mb",
            "function_version",
            "invoked_function_arn",
            "client_context",
            "identity",
            "tenant_id",
        )
        inside = ",".join("%s=%s" % (name, getattr(self, name)) for name in shown)
        return "LambdaContext([%s])" % inside


def _parse(what, text):
    try:
        return json.loads(text)
    except Exception as error:
        raise Fault(
            "Runtime.LambdaContextUnmarshalError", "Unable to parse %s JSON: %s" % (what, error)
        )
