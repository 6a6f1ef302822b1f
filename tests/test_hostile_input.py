import pytest
from hostile_material import CHECKS
from hypothesis import HealthCheck, given, settings


@pytest.mark.parametrize("name", CHECKS)
def test_hostile_input_is_handled(name):
    """A small run; `tests/benchmarks/hostile_input.py` is the large one."""
    strategy, check = CHECKS[name]
    settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))(given(strategy)(check))()
