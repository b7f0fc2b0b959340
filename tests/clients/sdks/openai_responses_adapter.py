"""The OpenAI SDK: Responses."""

import json

import openai
from asked import HI, KEY, NAMED, REFUSED, RESULT, SCHEMA, URL, WEATHER, WHERE, error_of, user
from pydantic import BaseModel

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=20)
create = client.responses.create


def plain():
    return create(model="auto", input=HI).output_text


def stream():
    with client.responses.stream(model="auto", input=HI) as events:
        return [event.delta for event in events if event.type == "response.output_text.delta"]


def tools():
    given = {"model": "auto", "tools": [{"type": "function", **NAMED, "parameters": SCHEMA, "strict": True}]}
    (call,) = create(input=WEATHER, **given).output
    result = {"type": "function_call_output", "call_id": call.call_id, "output": RESULT}
    answer = create(input=[*user(WEATHER), call, result], **given)
    return [json.loads(call.arguments)["city"], answer.output_text]


def structured():
    class Place(BaseModel):
        city: str

    return client.responses.parse(model="auto", input=WHERE, text_format=Place).output_parsed.city


def errors():
    return error_of(lambda: create(model="auto", input=REFUSED), openai.BadRequestError)
