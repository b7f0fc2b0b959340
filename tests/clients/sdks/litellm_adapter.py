"""LiteLLM's SDK."""

import json

import litellm
from asked import HI, KEY, NAMED, REFUSED, RESULT, SCHEMA, URL, WEATHER, WHERE, error_of, user

GIVEN = {"model": "openai/auto", "api_base": f"{URL}/v1", "api_key": KEY, "max_retries": 0, "timeout": 20}


def ask(messages, **given):
    return litellm.completion(messages=messages, **GIVEN, **given)


def plain():
    return ask(user(HI)).choices[0].message.content


def stream():
    return [one.choices[0].delta.content for one in ask(user(HI), stream=True) if one.choices[0].delta.content]


def tools():
    given = {"tools": [{"type": "function", "function": NAMED | {"parameters": SCHEMA}}]}
    message = ask(user(WEATHER), **given).choices[0].message
    (call,) = message.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": RESULT}
    answer = ask([*user(WEATHER), message.model_dump(), result], **given)
    return [json.loads(call.function.arguments)["city"], answer.choices[0].message.content]


def structured():
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}
    return json.loads(ask(user(WHERE), response_format=form).choices[0].message.content)["city"]


def errors():
    return error_of(lambda: ask(user(REFUSED)), litellm.BadRequestError)
