"""The asynchronous client, many calls at once, and what they cost together."""

import asyncio

import openai
import pytest
import wire
from conftest import MODEL, SERVER, cost, request

CALLS = 50


@pytest.fixture
def gather(user, traffic):
    """`gather(call, count)` runs `call(client, number)` that often at once."""

    async def run(call, count):
        http = openai.DefaultAsyncHttpxClient(event_hooks={"response": [wire.async_recorder(traffic)]})
        async with openai.AsyncOpenAI(base_url=f"{SERVER}/v1", api_key=user.key, max_retries=0, http_client=http) as client:
            return await asyncio.gather(*(call(client, number) for number in range(count)))

    return lambda call, count=1: asyncio.run(run(call, count))


async def ask(client, number):
    return await client.chat.completions.create(**request(max_tokens=number + 1))


async def listen(client, number):
    stream = await client.chat.completions.create(
        **request(max_tokens=number + 1, stream=True, stream_options={"include_usage": True})
    )
    return [chunk async for chunk in stream][-1]


@pytest.mark.parametrize("call", [ask, listen], ids=["plain", "stream"])
def test_calls_at_once_are_answered_each_by_its_own_and_charged_to_the_last_nano(gather, user, traffic, call):
    before = user.credits()
    answers = gather(call, CALLS)
    assert [answer.usage.completion_tokens for answer in answers] == [number + 1 for number in range(CALLS)]
    assert len({answer.id for answer in answers}) == CALLS
    assert len({exchange.headers["x-generation-id"] for exchange in traffic}) == CALLS
    assert before - user.credits() == sum(cost(MODEL, answer.usage) for answer in answers)
    balance = user.balance()
    assert (balance["held"], balance["available"]) == (0, balance["credits"])


def test_a_call_costs_its_tokens_price_and_dimes_are_dimes(client, user):
    client.chat.completions.create(**request(model="sim/dime", max_tokens=100))
    assert str(user.credits()) == "9.9"
    client.chat.completions.create(**request(model="meta-llama/llama-3.1-8b-instruct:free"))
    assert str(user.credits()) == "9.9"


def test_an_asynchronous_call_that_fails_raises_the_same_errors(gather):
    async def fail(client, _):
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(**request(model="sim/429"))
        with pytest.raises(openai.APIError) as raised:
            stream = await client.chat.completions.create(**request(model="sim/eof-after-3", stream=True))
            async for _ in stream:
                pass
        assert raised.value.body["code"] == "upstream_error"

    gather(fail)
