"""What all tests share."""

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def forget_compiled_programs():
    """Free the programs of a file of tests.

    A thousand files' worth of them in one process is more than a machine maps.
    """
    yield
    jax.clear_caches()
