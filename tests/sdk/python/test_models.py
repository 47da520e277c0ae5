"""The list of models."""

from decimal import Decimal

import openai
import pytest
from conftest import MODEL, price


def test_models_are_listed(client):
    models = list(client.models.list())
    ids = [model.id for model in models]
    assert MODEL in ids
    assert len(ids) == len(set(ids))
    assert {model.object for model in models} == {"model"}
    assert next(model for model in models if model.id == MODEL).owned_by


@pytest.mark.parametrize("model", [MODEL, "meta-llama/llama-3.1-8b-instruct:free", "sim/dime"])
def test_a_model_is_found_by_its_id_with_slash_and_colon(client, model):
    found = client.models.retrieve(model)
    assert (found.id, found.object) == (model, "model")
    assert found.charged_pricing == next(entry for entry in client.models.list() if entry.id == model).charged_pricing


@pytest.mark.parametrize("model", ["nobody/nothing", "nothing", "openai/gpt-4o-mini/", "../models"])
def test_a_model_that_nobody_has_is_not_found(client, model):
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve(model)
    assert (raised.value.code, raised.value.param) == ("model_not_found", "model")


def test_prices_are_dollars_per_token():
    assert price("sim/dime") == (0, Decimal("0.001"))
