"""The OpenAPI document says what is answered: requests made from it find no other status, and no fault."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from mltfr.interactions.ids import WHITE_SPACE
from mltfr.serve.app import make_app
from mltfr.serve.keys import Keys
from mltfr.serve.options import ServiceOptions
from mltfr.serve.service import Service
from support.service import KEY, client_of

EXAMPLES = 10
"""Of every operation, right and wrong; `benchmarks/serve.py --fuzz` makes thousands, in all phases."""


@pytest.fixture
def service(run):
    service = Service(run, ServiceOptions(timeout=60))
    service.start()
    yield service
    service.stop()


@pytest.mark.slow
@pytest.mark.parametrize("keys", [Keys(), Keys([KEY])], ids=["open", "keys"])
def test_requests_made_from_the_document(service, keys) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", make_app(service, keys))
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == 10
    how = settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
                   phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))  # fmt: skip
    for operation in operations:
        modes = list(GenerationMode) if operation.body or operation.query else [GenerationMode.POSITIVE]
        for mode in modes:

            @how
            @given(case=operation.as_strategy(generation_mode=mode))
            def check(case) -> None:
                case.call_and_validate(headers={"x-api-key": KEY}, excluded_checks=[CHECKS.get_one("ignored_auth")])

            check()


def test_limits_and_keys_are_documented(run) -> None:
    with client_of(run, Keys([KEY]), max_k=7, max_histories=3) as client:
        document = client.get("/openapi.json", headers={"x-api-key": KEY}).json()
    properties = document["components"]["schemas"]["RecommendRequest"]["properties"]
    assert properties["k"]["maximum"] == 7
    assert properties["users"]["maxItems"] == 3
    pattern = properties["users"]["items"]["anyOf"][0]["pattern"]
    for letter in (*WHITE_SPACE, "a", "\x1c", "\u180e", "\ufeff"):  # what `\S` is differs from language to language
        assert bool(re.search(pattern, letter)) == bool(letter.strip(WHITE_SPACE)), letter
    assert document["paths"]["/v1/recommend"]["post"]["security"] == [{"ApiKey": []}, {"Bearer": []}]
    assert "security" not in document["paths"]["/health/live"]["get"]
    assert not {"HTTPValidationError", "ValidationError"} & document["components"]["schemas"].keys()
    for status in ("400", "401", "404", "413", "415", "422", "429", "503", "504"):
        answer = document["paths"]["/v1/recommend"]["post"]["responses"][status]
        assert "application/problem+json" in answer["content"]


class Page(HTMLParser):
    """Collects the elements, addresses and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes) -> None:
        self.tags.add(tag)
        self.addresses += [value for name, value in attributes if name in ("href", "src", "action")]

    def handle_data(self, data) -> None:
        self.text += data


def test_the_page_of_the_document_loads_nothing(client) -> None:
    answer = client.get("/docs")
    page = Page(answer.text)
    assert answer.headers["content-type"].startswith("text/html")
    assert page.addresses == ["/openapi.json"]
    assert not {"script", "link", "img", "iframe"} & page.tags
    assert "@import" not in answer.text
    assert "url(" not in answer.text
    document = client.get("/openapi.json").json()
    for path in document["paths"]:
        assert path in page.text
    for name in document["components"]["schemas"]["RecommendRequest"]["properties"]:
        assert name in page.text
