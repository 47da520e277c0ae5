"""Completions as they come."""

import openai
import pytest
from conftest import MODEL, cost, exact, price, request

WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}


def text(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_chunks_tell_who_speaks_what_is_said_and_why_it_ended(chat):
    chunks = list(chat(stream=True))
    assert text(chunks) == "tok1 tok2 tok3 tok4 tok5 tok6 tok7 tok8"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert chunks[0].model == MODEL


def test_without_being_asked_no_chunk_tells_the_usage(chat, traffic):
    chunks = list(chat(stream=True))
    assert all(len(chunk.choices) == 1 and chunk.usage is None for chunk in chunks)
    # Mutant: a usage chunk that nobody asked for turns this red, and so does a stream without `[DONE]`.
    [stream] = traffic
    assert not any("gateway_usage" in event or event.get("usage") for event in stream.events())
    assert stream.body.endswith(b"data: [DONE]\n\n")


def test_the_last_chunk_tells_the_usage_when_asked(chat, user, traffic):
    *chunks, last = chat(**WITH_USAGE)
    assert text(chunks) == "tok1 tok2 tok3 tok4 tok5 tok6 tok7 tok8"
    assert last.choices == []
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (2, 8, 10)
    assert last.gateway_usage["tokens_charged"] == 10
    # Mutant: a cost that is off by one nano-dollar turns this red.
    assert exact(last.gateway_usage["cost_usd"]) == cost(MODEL, last.usage)
    assert exact(last.gateway_usage["user_balance_after"]) == user.credits()
    assert last.id == chunks[0].id
    *events, final = traffic[0].events()
    # Mutant: chunks without `"usage": null` turn this red.
    assert all("usage" in event and event["usage"] is None and "gateway_usage" not in event for event in events)
    assert final["usage"] and final["gateway_usage"]


def test_several_choices_are_told_apart(chat):
    said = {0: "", 1: "", 2: ""}
    for chunk in chat(stream=True, n=3, max_tokens=2):
        said[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert said == {0: "tok1 tok2", 1: "tok1 tok2", 2: "tok1 tok2"}


def test_the_stream_helper_puts_the_answer_together(client):
    with client.chat.completions.stream(**request(stream_options={"include_usage": True})) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        completion = stream.get_final_completion()
    assert "".join(deltas) == completion.choices[0].message.content == "tok1 tok2 tok3 tok4 tok5 tok6 tok7 tok8"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.completion_tokens == 8


def test_logprobs_are_streamed(chat):
    entries = [chunk.choices[0].logprobs for chunk in chat(stream=True, logprobs=True)]
    assert "".join(entry.content[0].token for entry in entries if entry) == "tok1 tok2 tok3 tok4 tok5 tok6 tok7 tok8"


def test_headers_come_with_the_stream(client):
    raw = client.chat.completions.with_raw_response.create(**request(stream=True))
    assert raw.headers["content-type"] == "text/event-stream"
    assert raw.headers["x-request-id"] and raw.headers["x-generation-id"].startswith("gen-")
    assert text(raw.parse()).endswith("tok8")


@pytest.mark.parametrize("oddity", ["crlf", "bom", "no-space", "multi-line", "comments", "events-after-done", "openrouter-usage"])
def test_a_provider_that_writes_oddly_is_understood(chat, oddity):
    *chunks, last = chat(model=f"sim/{oddity}", **WITH_USAGE)
    assert text(chunks) == "tok1 tok2 tok3 tok4 tok5 tok6 tok7 tok8"
    assert (last.choices, last.usage.completion_tokens) == ([], 8)


BREAKS = {
    "eof-after-3": "upstream_error",
    "cut-after-3": "upstream_unavailable",
    "half-event-then-eof": "upstream_error",
    "error-in-200": "upstream_error",
}


@pytest.mark.parametrize("fault", BREAKS)
def test_a_stream_that_breaks_raises_after_what_was_said_and_charges_that_alone(chat, user, fault):
    model, before, chunks = f"sim/{fault}", user.credits(), []
    with pytest.raises(openai.APIError) as raised:
        chunks.extend(chat(model=model, stream=True, max_tokens=100))
    assert text(chunks).startswith("tok1 tok2")
    # An error frame: a mere cut would be an error of the HTTP client's. Mutant: without the frame this is red.
    assert raised.value.message
    assert raised.value.body["code"] == BREAKS[fault]
    # Nobody counted: a token for every four bytes of the prompt's JSON and of what was said.
    prompt, completion = price(model)
    assert 0 < before - user.credits() <= 10 * prompt + 4 * completion
    assert user.is_clear()
