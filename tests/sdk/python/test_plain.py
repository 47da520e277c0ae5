"""Completions in one piece."""

import json

import pytest
from conftest import MODEL, cost, exact, request, upstream
from pydantic import BaseModel

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_a_completion_has_what_was_said_and_what_it_cost(chat, user):
    completion = chat()
    assert completion.id
    assert completion.object == "chat.completion"
    assert completion.model == MODEL
    [choice] = completion.choices
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    assert choice.message.content == "tok1 tok2 tok3 tok4 tok5 tok6 tok7 tok8"
    usage = completion.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (2, 8, 10)
    ours = completion.gateway_usage
    assert ours["tokens_charged"] == 10
    assert exact(ours["cost_usd"]) == cost(MODEL, usage)
    assert exact(ours["user_balance_after"]) == user.credits()
    assert ours["user_api_key"] == user.key[:10] + "..."
    assert ours["request_ms"] >= 0


def test_headers_name_the_request_and_the_generation(client):
    raw = client.chat.completions.with_raw_response.create(**request(), extra_headers={"x-request-id": "mine-1"})
    assert raw.headers["x-request-id"] == "mine-1"
    assert raw.headers["x-generation-id"].startswith("gen-")
    first, second = (client.chat.completions.with_raw_response.create(**request()) for _ in range(2))
    assert first.headers["x-generation-id"] != second.headers["x-generation-id"]
    # The SDK shows it as the completion's own.
    assert first.headers["x-request-id"] == first.parse()._request_id != second.headers["x-request-id"]


def test_two_choices_are_two_answers_and_both_are_charged(chat):
    completion = chat(n=2)
    assert [choice.index for choice in completion.choices] == [0, 1]
    assert completion.usage.completion_tokens == 16
    assert completion.gateway_usage["tokens_charged"] == 18


def test_logprobs_come_through(chat):
    [choice] = chat(logprobs=True, top_logprobs=2).choices
    assert [entry.token for entry in choice.logprobs.content[:2]] == ["tok1", " tok2"]
    assert len(choice.logprobs.content[0].top_logprobs) == 2


FIELDS = {
    "stop": ["\n", "END"],
    "seed": 7,
    "temperature": 0.1,
    "top_p": 0.5,
    "presence_penalty": -1.5,
    "frequency_penalty": 0.25,
    "logit_bias": {"50256": -100},
    "reasoning_effort": "high",
    "parallel_tool_calls": False,
    "metadata": {"project": "tests"},
    "user": "somebody",
    "service_tier": "auto",
    "response_format": {"type": "json_object"},
    "extra_body": {"top_k": 40, "transforms": ["middle-out"]},
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_reaches_the_provider_as_it_was_sent(chat, field):
    chat(**{field: FIELDS[field]})
    sent = FIELDS[field] if field == "extra_body" else {field: FIELDS[field]}
    # Mutant: a field that is dropped or added on the way turns this red.
    assert upstream() == request() | sent


def test_a_further_query_and_further_headers_do_no_harm(chat):
    completion = chat(extra_query={"privy_user_id": "did:privy:x", "session_id": 7}, extra_headers={"HTTP-Referer": "https://a.example"})
    assert completion.choices[0].finish_reason == "stop"
    assert upstream() == request()


@pytest.mark.parametrize("provider", ["openrouter", {"order": ["openrouter"], "allow_fallbacks": False}], ids=["name", "object"])
def test_a_provider_can_be_chosen(chat, provider):
    assert chat(extra_body={"provider": provider}).choices[0].finish_reason == "stop"


def test_a_list_of_models_is_ours_to_walk_and_the_provider_is_asked_for_one(chat):
    completion = chat(extra_body={"models": ["openai/gpt-4o", "sim/dime"]})
    assert completion.model == MODEL
    assert upstream() == request()


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "Hello"}, {"type": "text", "text": "again"}],
        [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}],
        "\u00e9\u4e16\U0001f600 \\u0000 \"quoted\" \u2028",
        "",
    ],
    ids=["parts", "image", "unicode", "empty"],
)
def test_content_of_every_form_is_answered_and_passed_on_unchanged(chat, content):
    messages = [{"role": "system", "content": "Be short"}, {"role": "user", "content": content}]
    assert chat(messages=messages).choices[0].finish_reason == "stop"
    assert upstream()["messages"] == messages


class Step(BaseModel):
    explanation: str
    output: int


class Solution(BaseModel):
    steps: list[Step]
    is_final: bool


def test_structured_output_is_parsed_into_its_class(client):
    completion = client.chat.completions.parse(**request(max_tokens=64), response_format=Solution)
    [choice] = completion.choices
    assert isinstance(choice.message.parsed, Solution)
    assert Solution.model_validate_json(choice.message.content) == choice.message.parsed
    schema = upstream()["response_format"]["json_schema"]
    assert (schema["name"], schema["strict"]) == ("Solution", True)


def test_json_mode_answers_json(chat):
    [choice] = chat(response_format={"type": "json_object"}).choices
    assert json.loads(choice.message.content)


def test_max_completion_tokens_limits_like_max_tokens(client):
    fields = request(max_completion_tokens=3)
    del fields["max_tokens"]
    assert client.chat.completions.create(**fields).usage.completion_tokens == 3


def test_a_long_answer_comes_whole(chat):
    completion = chat(max_tokens=4000)
    assert completion.choices[0].message.content.endswith(" tok4000")
    assert completion.usage.completion_tokens == 4000
