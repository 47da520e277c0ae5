"""Each refusal is the exception that the SDK's users catch."""

import time
import uuid

import openai
import pytest
from conftest import exact, request

# The SDK's own table of exceptions goes by status; `code` is ours to choose, `param` names the field.
WRONG = {
    "max_tokens is zero": ({"max_tokens": 0}, "max_tokens"),
    "max_tokens is negative": ({"max_tokens": -1}, "max_tokens"),
    "max_tokens is a text": ({"max_tokens": "many"}, "max_tokens"),
    "max_tokens is a fraction": ({"max_tokens": 1.5}, "max_tokens"),
    "no messages": ({"messages": []}, "messages"),
    "messages are a text": ({"messages": "Hello"}, "messages"),
    "no model": ({"model": ""}, "model"),
    "model is a number": ({"model": 4}, "model"),
    "n is zero": ({"n": 0}, "n"),
    "n is too many": ({"n": 129}, "n"),
    "stream is a text": ({"extra_body": {"stream": "yes"}}, "stream"),
    "stream_options are a list": ({"stream": True, "stream_options": []}, "stream_options"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_a_bad_request_error_that_names_the_field(chat, user, case):
    fields, param = WRONG[case]
    with pytest.raises(openai.BadRequestError) as raised:
        chat(**fields)
    error = raised.value
    assert (error.status_code, error.type, error.param) == (400, "invalid_request_error", param)
    assert error.code and param in error.message
    assert error.request_id
    assert user.credits() == 10


def test_a_provider_s_refusal_is_a_bad_request_error_too(chat, user):
    with pytest.raises(openai.BadRequestError) as raised:
        chat(model="sim/status-400")
    assert raised.value.code == "upstream_rejected"
    assert user.credits() == 10


@pytest.mark.parametrize("key", ["gw_live_" + "x" * 43, "sk-wrong"])
def test_a_wrong_key_is_an_authentication_error(connect, key):
    with pytest.raises(openai.AuthenticationError) as raised:
        connect(key).chat.completions.create(**request())
    assert raised.value.type == "authentication_error"
    assert raised.value.response.headers["www-authenticate"] == "Bearer"


def test_no_key_is_an_authentication_error(connect):
    with pytest.raises(openai.AuthenticationError) as raised:
        connect("none").chat.completions.create(**request(extra_headers={"Authorization": openai.Omit()}))
    assert "not authenticated" in raised.value.message.lower()


def test_a_key_for_other_addresses_is_a_permission_error(connect, user):
    key = user.further_key(ip_allowlist=["203.0.113.7"])
    with pytest.raises(openai.PermissionDeniedError) as raised:
        connect(key).chat.completions.create(**request())
    assert raised.value.type == "permission_error"
    assert "IP address not allowed" in raised.value.message


def test_an_unknown_model_is_a_not_found_error(chat):
    with pytest.raises(openai.NotFoundError) as raised:
        chat(model="nobody/nothing")
    assert (raised.value.code, raised.value.param) == ("model_not_found", "model")
    assert "nobody/nothing" in raised.value.message


def test_an_unknown_path_is_a_not_found_error(client):
    with pytest.raises(openai.NotFoundError):
        client.files.list()


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_without_credits_the_status_is_402_and_the_code_insufficient_quota(chat, user, stream):
    for _ in range(10):
        chat(model="sim/dime", max_tokens=1000)
    assert user.credits() == 0
    with pytest.raises(openai.APIStatusError) as raised:
        chat(model="sim/dime", max_tokens=100, stream=stream)
    error = raised.value
    # Mutant: 429 in the place of 402 turns this red.
    assert (error.status_code, error.code, error.type) == (402, "insufficient_quota", "insufficient_quota")
    assert "Insufficient credits" in error.message
    assert user.is_clear()


UPSTREAM = {
    "429": (openai.RateLimitError, 429),
    "retry-after-1": (openai.RateLimitError, 429),
    "status-402": (openai.InternalServerError, 502),
    "status-404": (openai.NotFoundError, 404),
    "500-html": (openai.InternalServerError, 502),
    "503": (openai.InternalServerError, 502),
    "bad-json": (openai.InternalServerError, 502),
    "error-in-200": (openai.InternalServerError, 502),
    "redirect": (openai.InternalServerError, 502),
    "hang-up": (openai.InternalServerError, 503),
}


@pytest.mark.parametrize("fault", UPSTREAM)
def test_an_upstream_s_failure_is_the_sdk_s_error_and_costs_nothing(chat, user, fault):
    kind, status = UPSTREAM[fault]
    with pytest.raises(openai.APIStatusError) as raised:
        chat(model=f"sim/{fault}")
    assert (type(raised.value), raised.value.status_code) == (kind, status)
    assert raised.value.code
    assert user.credits() == 10
    assert user.is_clear()
    if status in (429, 503):
        assert int(raised.value.response.headers["retry-after"]) >= 1


@pytest.mark.parametrize("fault", ["429", "500-html", "status-400"])
def test_a_stream_that_never_begins_fails_with_its_status(chat, fault):
    with pytest.raises(openai.APIStatusError):
        chat(model=f"sim/{fault}", stream=True)


def test_the_sdk_retries_what_may_pass_and_gives_up_at_last(connect, user, traffic):
    client = connect(user.key, max_retries=1)
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(**request(model="sim/retry-after-1"))
    assert [exchange.status for exchange in traffic] == [429, 429]


def test_the_sdk_waits_as_long_as_it_is_told(connect, user, traffic):
    client = connect(user.key, max_retries=1)
    began = time.monotonic()
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(**request(model="sim/retry-after-1"))
    # Without the header it would be half a second. Mutant: an answer without Retry-After turns this red.
    assert time.monotonic() - began >= 1
    assert [exchange.headers["retry-after"] for exchange in traffic] == ["1", "1"]


def test_the_sdk_does_not_retry_what_waiting_cannot_cure(connect, user, traffic):
    client = connect(user.further_key(max_requests=1), max_retries=3)
    client.chat.completions.create(**request())
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(**request())
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert [exchange.status for exchange in traffic] == [200, 429]


def with_key(key, **fields):
    return request(extra_headers={"Idempotency-Key": key}, **fields)


def test_the_same_request_under_an_idempotency_key_is_answered_and_charged_once(client, user):
    key = str(uuid.uuid4())
    first, again = (client.chat.completions.with_raw_response.create(**with_key(key)) for _ in range(2))
    # Mutant: a server that ignores the header turns this red.
    assert first.text == again.text
    assert first.headers["x-generation-id"] == again.headers["x-generation-id"]
    assert user.credits() == exact(first.parse().gateway_usage["user_balance_after"])


def test_another_request_under_an_idempotency_key_is_unprocessable(client):
    key = str(uuid.uuid4())
    client.chat.completions.create(**with_key(key))
    with pytest.raises(openai.UnprocessableEntityError) as raised:
        client.chat.completions.create(**with_key(key, max_tokens=9))
    assert raised.value.code == "idempotency_key_reused"


def test_a_stream_under_a_used_idempotency_key_is_a_conflict(client):
    key = str(uuid.uuid4())
    list(client.chat.completions.create(**with_key(key, stream=True)))
    with pytest.raises(openai.ConflictError) as raised:
        client.chat.completions.create(**with_key(key, stream=True))
    assert raised.value.code == "idempotency_key_in_use"
