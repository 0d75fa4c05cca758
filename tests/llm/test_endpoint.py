import pytest
from pydantic import ValidationError

from steps.llm.endpoint import EndpointSettings

ADDRESS = "http://localhost:8000/v1"


def test_a_price_of_zero_is_a_price_and_an_unknown_one_is_none():
    free = EndpointSettings(base_url=ADDRESS, model="m", price_per_million_input_usd=0, price_per_million_output_usd=0)
    assert free.cost_usd(10, 10) == 0.0
    assert EndpointSettings(base_url=ADDRESS, model="m").cost_usd(10, 10) is None


@pytest.mark.parametrize(
    "address", ["localhost:8000", "ftp://x/v1", "http://", "http://me:secret@x/v1", "http://x?k=1"]
)
def test_an_address_that_cannot_work_or_holds_a_secret_is_refused(address):
    with pytest.raises(ValidationError):
        EndpointSettings(base_url=address, model="m")


def test_a_key_in_place_of_a_variable_name_is_refused():
    with pytest.raises(ValidationError):
        EndpointSettings(base_url=ADDRESS, model="m", api_key_env="sk-1234")
