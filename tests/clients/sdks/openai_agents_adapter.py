"""OpenAI's Agents SDK, which calls Responses."""

import asyncio

import agents
import openai
from asked import HI, KEY, REFUSED, RESULT, URL, WEATHER, WHERE, error_of
from pydantic import BaseModel

agents.set_tracing_disabled(True)


def agent(**given):
    client = openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0, timeout=20)
    return agents.Agent(name="a", model=agents.OpenAIResponsesModel("auto", client), **given)


def run(text, **given):
    return agents.Runner.run_sync(agent(**given), text).final_output


def plain():
    return run(HI)


def stream():
    async def read():
        running = agents.Runner.run_streamed(agent(), HI)
        events = [event.data async for event in running.stream_events() if event.type == "raw_response_event"]
        return [one.delta for one in events if one.type == "response.output_text.delta"]

    return asyncio.run(read())


def tools():
    asked = []

    @agents.function_tool
    def get_weather(city: str) -> str:
        asked.append(city)
        return RESULT

    answer = run(WEATHER, tools=[get_weather])
    return [*asked, answer]


def structured():
    class Place(BaseModel):
        city: str

    return run(WHERE, output_type=Place).city


def errors():
    return error_of(lambda: run(REFUSED), openai.BadRequestError)
