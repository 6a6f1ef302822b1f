"""The order of the suite."""

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process runs everything in order")
def test_a_module_is_one_group(request):
    """pytest 9.2 with xdist 3.8 ignores groups silently, so that modules are torn apart and Ray clusters collide."""
    assert request.node.nodeid.endswith("@test_conftest")
