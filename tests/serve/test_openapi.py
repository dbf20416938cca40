"""The OpenAPI document says what is answered: requests made from it find no other status, and no fault."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi import checks

from mltfr.serve.app import make_app
from mltfr.serve.keys import Keys
from mltfr.serve.options import ServiceOptions
from mltfr.serve.service import Service
from support.service import KEY, RUNS
from mltfr.serve.loaded import LoadedRun

EXAMPLES = 8
"""Of every operation; `benchmarks/serve.py --fuzz` makes thousands."""
