"""Doors that OpenRouter's clients know: what a call cost, what a key has used, what is left."""

from decimal import Decimal

import openai
import pytest
from conftest import MODEL, SERVER, User, cost, fetch, request


def of_generation(user, generation):
    return fetch(f"{SERVER}/v1/generation?id={generation}", user.key)["data"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_generation_is_found_by_the_header_of_its_answer(client, user, stream):
    raw = client.chat.completions.with_raw_response.create(**request(stream=stream))
    answer = raw.parse()
    if stream:
        list(answer)
    data = of_generation(user, raw.headers["x-generation-id"])
    assert (data["model"], data["streamed"], data["provider_name"]) == (MODEL, stream, "openrouter")
    assert (data["tokens_prompt"], data["tokens_completion"], data["finish_reason"]) == (2, 8, "stop")
    # What is shown is what was taken.
    assert Decimal(data["total_cost"]) == 10 - user.credits()


def test_a_generation_of_another_user_is_not_found(client, connect):
    raw = client.chat.completions.with_raw_response.create(**request())
    stranger = connect(User.register().key)
    with pytest.raises(openai.NotFoundError):
        stranger.get(f"/generation?id={raw.headers['x-generation-id']}", cast_to=object)


def test_the_key_and_the_credits_tell_what_was_used(client, user):
    completion = client.chat.completions.create(**request())
    spent = cost(MODEL, completion.usage)
    credits = fetch(f"{SERVER}/v1/credits", user.key)["data"]
    assert (Decimal(credits["total_credits"]), Decimal(credits["total_usage"])) == (10, spent)
    key = fetch(f"{SERVER}/v1/key", user.key)["data"]
    assert key["label"] == user.key[:10] + "..."
    assert key["is_free_tier"] is True
