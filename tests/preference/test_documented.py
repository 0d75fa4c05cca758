import doctest

import pytest

from steps.preference import candidate, comparisons, near_duplicates


@pytest.mark.parametrize("module", [candidate, comparisons, near_duplicates])
def test_documented_examples_hold(module):
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
