"""A key's own limits, as the SDK's users see them: what is left on every answer, then an exception that says when to come back."""

import openai
import pytest
from conftest import SERVER, exact, fetch, request

REQUESTS, TOKENS = 2, 1_000


@pytest.fixture
def limited(connect, user):
    """A client whose key has so many requests and tokens a day."""
    windows = {f"{what}_per_{window}": 100_000 for what in ("requests", "tokens") for window in ("minute", "hour", "day")}
    daily = {"requests_per_day": REQUESTS, "tokens_per_day": TOKENS}
    fetch(f"{SERVER}/user/rate-limits/bulk-update", user.key, {**windows, **daily})
    return connect(user.key)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_each_answer_tells_what_is_left(limited, traffic, stream):
    spent = 0
    for nth in range(1, REQUESTS + 1):
        answer = limited.chat.completions.create(**request(stream=stream))
        if stream:
            list(answer)
        headers = traffic[-1].headers
        assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-limit-tokens"]) == (str(REQUESTS), str(TOKENS))
        assert headers["x-ratelimit-remaining-requests"] == str(REQUESTS - nth)
        assert 0 < TOKENS - int(headers["x-ratelimit-remaining-tokens"]) - spent <= TOKENS / 4
        spent = TOKENS - int(headers["x-ratelimit-remaining-tokens"])


def test_one_more_is_a_rate_limit_error_that_says_when_to_come_back(limited, user):
    for _ in range(REQUESTS):
        answer = limited.chat.completions.create(**request())
    with pytest.raises(openai.RateLimitError) as raised:
        limited.chat.completions.create(**request())
    # Mutants (a proxy that changes answers): without Retry-After, what remains, or `code`, this is red.
    error, headers = raised.value, raised.value.response.headers
    assert (error.code, error.type) == ("rate_limit_exceeded", "rate_limit_error")
    assert 0 < int(headers["retry-after"]) <= 24 * 3_600
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert user.credits() == exact(answer.gateway_usage["user_balance_after"])


def test_a_call_beyond_the_tokens_is_refused_before_it_costs_anything(limited, user):
    with pytest.raises(openai.RateLimitError) as raised:
        limited.chat.completions.create(**request(max_tokens=TOKENS + 1))
    assert raised.value.code == "rate_limit_exceeded"
    assert user.credits() == 10
