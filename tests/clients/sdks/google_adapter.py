"""Google's SDK."""

from asked import HI, KEY, REFUSED, RESULT, URL, WEATHER, WHERE, error_of
from google import genai
from google.genai import errors as google_errors
from pydantic import BaseModel

client = genai.Client(api_key=KEY, http_options={"base_url": URL})
generate = client.models.generate_content


def plain():
    return generate(model="auto", contents=HI).text


def stream():
    return [one.text for one in client.models.generate_content_stream(model="auto", contents=HI) if one.text]


def tools():
    asked = []

    def get_weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return RESULT

    answer = generate(model="auto", contents=WEATHER, config={"tools": [get_weather]})
    return [*asked, answer.text]


def structured():
    class Place(BaseModel):
        city: str

    config = {"response_mime_type": "application/json", "response_schema": Place}
    return generate(model="auto", contents=WHERE, config=config).parsed.city


def errors():
    return error_of(lambda: generate(model="auto", contents=REFUSED), google_errors.ClientError)
