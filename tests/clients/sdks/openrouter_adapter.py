"""OpenRouter's SDK."""

import json

import openrouter
from asked import HI, KEY, NAMED, REFUSED, RESULT, SCHEMA, URL, WEATHER, WHERE, error_of, user

client = openrouter.OpenRouter(api_key=KEY, server_url=f"{URL}/api/v1")
send = client.chat.send


def plain():
    return send(model="openrouter/auto", messages=user(HI)).choices[0].message.content


def stream():
    with send(model="openrouter/auto", messages=user(HI), stream=True) as events:
        chunks = [getattr(event, "data", event) for event in events]
    return [one.choices[0].delta.content for one in chunks if one.choices and one.choices[0].delta.content]


def tools():
    given = {"model": "openrouter/auto", "tools": [{"type": "function", "function": NAMED | {"parameters": SCHEMA}}]}
    (call,) = send(messages=user(WEATHER), **given).choices[0].message.tool_calls
    function = {"name": call.function.name, "arguments": call.function.arguments}
    called = {"role": "assistant", "tool_calls": [{"id": call.id, "type": "function", "function": function}]}
    result = {"role": "tool", "tool_call_id": call.id, "content": RESULT}
    answer = send(messages=[*user(WEATHER), called, result], **given)
    return [json.loads(call.function.arguments)["city"], answer.choices[0].message.content]


def structured():
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}
    answer = send(model="openrouter/auto", messages=user(WHERE), response_format=form)
    return json.loads(answer.choices[0].message.content)["city"]


def errors():
    return error_of(
        lambda: send(model="openrouter/auto", messages=user(REFUSED)), openrouter.errors.BadRequestResponseError
    )
