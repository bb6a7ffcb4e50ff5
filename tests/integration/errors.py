"""refused(...): the call must fail with this error name, status and words."""

import contextlib

import pytest
from botocore.exceptions import ClientError


@contextlib.contextmanager
def refused(code, status, words=""):
    with pytest.raises(ClientError) as caught:
        yield caught
    error, meta = caught.value.response["Error"], caught.value.response["ResponseMetadata"]
    assert (error["Code"], meta["HTTPStatusCode"]) == (code, status), error
    assert words in error["Message"], error["Message"]


GONE = "ResourceNotFoundException"
BAD = "InvalidParameterValueException"
CONFLICT = "ResourceConflictException"
STALE = "PreconditionFailedException"
SHAPE = "ValidationException"
