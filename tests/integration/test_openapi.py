"""The documents of docs/openapi are OpenAPI: what clients are generated from. (What they say is tested by each API's tests.)"""

import pytest
import yaml
from openapi_spec_validator import validate

from harness import ROOT


@pytest.mark.parametrize("document", sorted((ROOT / "docs/openapi").glob("*.yaml")), ids=lambda path: path.name)
def test_a_document_is_valid_openapi(document):
    validate(yaml.safe_load(document.read_text()))
