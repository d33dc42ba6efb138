"""What schemathesis makes of the OpenAPI schema: requests that it allows, and ones that it does not.

There are a few; `UNTRIMMED_FUZZED_REQUESTS=1000 pytest -s tests/service/test_service_schema.py` sends more, and tells
how they are answered.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from small_service import listening

EXAMPLES = int(os.environ.get("UNTRIMMED_FUZZED_REQUESTS", "25"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with listening(max_body=100_000, max_json=20_000, max_clips=500) as client:
        yield client.url


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with closing(requests.Session()) as session:
        session.trust_env = False  # this machine's service is not behind a proxy
        yield session


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("/detect", GenerationMode.POSITIVE),
        ("/detect", GenerationMode.NEGATIVE),
        ("/jobs/{job}", GenerationMode.POSITIVE),  # there is nothing that these paths could be sent in addition
        ("/health", GenerationMode.POSITIVE),
        ("/metrics", GenerationMode.POSITIVE),
    ],
)
def test_whatever_is_sent_the_answer_is_as_the_schema_says(
    service: str, session: requests.Session, path: str, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_dict(session.get(f"{service}/openapi.json").json())
    statuses = Counter[int]()

    @settings(max_examples=EXAMPLES if path == "/detect" else 5, suppress_health_check=list(HealthCheck))
    @given(case=st.one_of(*(each.ok().as_strategy(generation_mode=mode) for each in operations(schema, path))))
    def check(case: Any) -> None:
        response = case.call(base_url=service, session=session)
        statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    check()
    found = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
    print(f"\n{path}, {mode.name.lower()}: {sum(statuses.values())} requests; {found}")
    assert not any(status >= 500 for status in statuses)
    if path == "/detect" and mode is GenerationMode.POSITIVE:
        assert 200 in statuses


def operations(schema: Any, path: str) -> list[Any]:
    return [each for each in schema.get_all_operations() if each.ok().path == path]
