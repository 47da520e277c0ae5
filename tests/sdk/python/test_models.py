"""The list of models."""

import json
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


def test_the_list_comes_compressed_with_openrouter_s_fields_beside_openai_s(client, traffic):
    models = client.models.list().data
    assert traffic[-1].headers["content-encoding"] == "gzip"
    assert len(traffic[-1].body) < len(json.dumps([model.model_dump() for model in models])) / 3
    model = next(model for model in models if model.id == MODEL)
    assert model.created > 0 and model.owned_by == "openai"
    assert model.context_length == 128_000
    assert model.architecture["input_modalities"] == ["text", "image"]
    assert "tools" in model.supported_parameters
    assert model.top_provider["max_completion_tokens"] > 0


def test_every_listed_model_is_retrieved_by_its_id(client):
    for listed in client.models.list():
        if "/" in listed.id and not listed.id.startswith("sim/"):
            assert client.models.retrieve(listed.id) == listed


def test_a_model_s_endpoints_and_the_count_are_there_for_openrouter_s_clients(client):
    data = client.get(f"/models/{MODEL}/endpoints", cast_to=object)["data"]
    assert data["id"] == MODEL
    [endpoint] = data["endpoints"]
    assert endpoint["tag"] == "openrouter"
    assert Decimal(endpoint["pricing"]["prompt"]) == price(MODEL)[0]
    assert client.get("/models/count", cast_to=object)["data"]["count"] == len(client.models.list().data)
    with pytest.raises(openai.NotFoundError):
        client.get("/models/nobody/nothing/endpoints", cast_to=object)


def test_a_list_that_is_known_is_not_sent_again(client):
    first = client.models.with_raw_response.list()
    tag = first.headers["etag"]
    # The SDK takes everything but 2xx for an error.
    with pytest.raises(openai.APIStatusError) as raised:
        client.models.list(extra_headers={"If-None-Match": tag})
    assert (raised.value.status_code, raised.value.response.headers["etag"]) == (304, tag)


def test_prices_are_dollars_per_token():
    assert price("sim/dime") == (0, Decimal("0.001"))
