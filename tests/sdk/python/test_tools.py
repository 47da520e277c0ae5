"""Tools: a call, its result, and the answer after it."""

import json

import pytest
from conftest import request, upstream

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
TIME = {"type": "function", "function": {"name": "time", "parameters": {"type": "object", "properties": {}}}}


def test_a_tool_is_called_and_its_result_is_answered(chat):
    question = {"role": "user", "content": "What is the weather in Bern?"}
    [choice] = chat(messages=[question], tools=[WEATHER], max_tokens=32).choices
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    [call] = choice.message.tool_calls
    assert (call.type, call.function.name) == ("function", "weather")
    assert set(json.loads(call.function.arguments)) == {"city", "days"}

    result = {"role": "tool", "tool_call_id": call.id, "content": '{"sky": "blue"}'}
    messages = [question, choice.message, result]
    [choice] = chat(messages=messages, tools=[WEATHER]).choices
    assert (choice.finish_reason, choice.message.tool_calls) == ("stop", None)
    assert choice.message.content.startswith("tok1")
    assert upstream()["messages"][1]["tool_calls"][0]["id"] == call.id
    assert upstream()["messages"][2] == result


def test_the_chosen_tool_is_called(chat):
    choice = {"type": "function", "function": {"name": "time"}}
    [answer] = chat(tools=[WEATHER, TIME], tool_choice=choice).choices
    assert answer.message.tool_calls[0].function.name == "time"
    assert chat(tools=[WEATHER, TIME], tool_choice="none").choices[0].message.tool_calls is None


def test_the_pieces_of_a_streamed_tool_call_make_up_its_arguments(chat):
    name, arguments, reasons = None, "", []
    for chunk in chat(stream=True, tools=[WEATHER], max_tokens=20):
        [choice] = chunk.choices
        reasons.append(choice.finish_reason)
        for call in choice.delta.tool_calls or []:
            assert call.index == 0
            name = name or call.function.name
            arguments += call.function.arguments or ""
    assert name == "weather"
    assert set(json.loads(arguments)) == {"city", "days"}
    assert reasons == [None] * (len(reasons) - 1) + ["tool_calls"]


def test_the_stream_helper_parses_the_arguments(client):
    with client.chat.completions.stream(**request(max_tokens=20, tools=[WEATHER])) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
    assert [event.name for event in done] == ["weather"]
    assert set(done[0].parsed_arguments) == {"city", "days"}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_tool_call_is_charged_like_words(chat, user, stream):
    before = user.credits()
    answer = chat(tools=[WEATHER], max_tokens=20, stream=stream)
    if stream:
        list(answer)
    assert before > user.credits()
    assert user.is_clear()
