"""The OpenAI SDK: chat completions."""

import json

import openai
from asked import HI, KEY, NAMED, REFUSED, RESULT, SCHEMA, URL, WEATHER, WHERE, error_of, user
from pydantic import BaseModel

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=20)
create = client.chat.completions.create


def plain():
    return create(model="auto", messages=user(HI)).choices[0].message.content


def stream():
    chunks = create(model="auto", messages=user(HI), stream=True, stream_options={"include_usage": True})
    return [one.choices[0].delta.content for one in chunks if one.choices and one.choices[0].delta.content]


def tools():
    given = {"model": "auto", "tools": [{"type": "function", "function": NAMED | {"parameters": SCHEMA}}]}
    message = create(messages=user(WEATHER), **given).choices[0].message
    (call,) = message.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": RESULT}
    answer = create(messages=[*user(WEATHER), message, result], **given)
    return [json.loads(call.function.arguments)["city"], answer.choices[0].message.content]


def structured():
    class Place(BaseModel):
        city: str

    parsed = client.chat.completions.parse(model="auto", messages=user(WHERE), response_format=Place)
    return parsed.choices[0].message.parsed.city


def errors():
    return error_of(lambda: create(model="auto", messages=user(REFUSED)), openai.BadRequestError)
