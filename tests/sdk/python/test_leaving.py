"""Clients that leave: by a time-out, by closing a stream, by cancelling a task."""

import asyncio
import time

import httpx2
import openai
import pytest
import wire
from conftest import SERVER, cost, price, request

# Fifty tokens a second.
SLOW = "sim/token-delay-20"
TIMEOUT_S = 0.5


def settled(user, limit_s):
    """The balance, once nothing is held."""
    deadline = time.monotonic() + limit_s
    while user.balance()["held"] != 0:
        assert time.monotonic() < deadline, "still held"
        time.sleep(0.02)
    return user.credits()


def test_a_time_out_is_the_sdk_s_own_and_the_call_is_finished_and_charged(connect, user):
    client = connect(user.key, timeout=TIMEOUT_S)
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(**request(model=SLOW, max_tokens=150))
    assert user.balance()["held"] > 0
    prompt, completion = price(SLOW)
    assert user.credits() == 10
    # A plain call is not stopped: nobody knows what the provider has done of it.
    assert settled(user, 10) == 10 - 2 * prompt - 150 * completion


def test_a_stream_that_stalls_runs_into_the_client_s_time_out_and_is_charged_for_what_came(connect, user):
    client, said = connect(user.key, timeout=TIMEOUT_S), []
    with pytest.raises((openai.APITimeoutError, httpx2.ReadTimeout)):
        for chunk in client.chat.completions.create(**request(model="sim/stall-after-3", stream=True)):
            said.append(chunk.choices[0].delta.content or "")
    assert "".join(said) == "tok1 tok2 tok3"
    assert 0 < 10 - settled(user, 5) < 100 * price("sim/stall-after-3")[1]


def test_a_stream_that_is_closed_stops_the_provider_and_is_charged_for_what_came(client, user):
    # Eighty seconds, if nobody stopped it.
    stream = client.chat.completions.create(**request(model=SLOW, max_tokens=4000, stream=True))
    for _, _chunk in zip(range(5), stream):
        pass
    assert user.balance()["held"] > 0
    stream.close()
    assert 0 < 10 - settled(user, 5) < 300 * price(SLOW)[1]


def test_an_asynchronous_stream_that_is_cancelled_stops_likewise(user, traffic):
    heard = []

    async def listen(client):
        async for chunk in await client.chat.completions.create(**request(model=SLOW, max_tokens=4000, stream=True)):
            heard.append(chunk)

    async def run():
        http = openai.DefaultAsyncHttpxClient(event_hooks={"response": [wire.async_recorder(traffic)]})
        async with openai.AsyncOpenAI(base_url=f"{SERVER}/v1", api_key=user.key, max_retries=0, http_client=http) as client:
            task = asyncio.create_task(listen(client))
            while len(heard) < 5:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    assert 0 < 10 - settled(user, 5) < 300 * price(SLOW)[1]


def test_after_a_client_has_left_the_same_key_is_served_on(connect, user):
    with pytest.raises(openai.APITimeoutError):
        connect(user.key, timeout=0.1).chat.completions.create(**request(model=SLOW, max_tokens=30))
    settled(user, 5)
    before = user.credits()
    completion = connect(user.key).chat.completions.create(**request())
    assert before - user.credits() == cost(completion.model, completion.usage)
