"""The Anthropic SDK."""

import json

import anthropic
from asked import HI, KEY, NAMED, REFUSED, RESULT, SCHEMA, URL, WEATHER, WHERE, error_of, user

client = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0, timeout=20)
GIVEN = {"model": "auto", "max_tokens": 200}


def plain():
    return client.messages.create(messages=user(HI), **GIVEN).content[0].text


def stream():
    with client.messages.stream(messages=user(HI), **GIVEN) as events:
        return list(events.text_stream)


def tools():
    given = GIVEN | {"tools": [NAMED | {"input_schema": SCHEMA}]}
    asked = client.messages.create(messages=user(WEATHER), **given)
    (call,) = asked.content
    result = {"type": "tool_result", "tool_use_id": call.id, "content": RESULT}
    said = [*user(WEATHER), {"role": "assistant", "content": asked.content}, {"role": "user", "content": [result]}]
    return [call.input["city"], client.messages.create(messages=said, **given).content[0].text]


def structured():
    form = {"format": {"type": "json_schema", "schema": SCHEMA}}
    return json.loads(client.messages.create(messages=user(WHERE), output_config=form, **GIVEN).content[0].text)["city"]


def errors():
    return error_of(lambda: client.messages.create(messages=user(REFUSED), **GIVEN), anthropic.BadRequestError)
