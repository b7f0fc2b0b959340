from router_model.serving.formats.format import Facts
from router_model.serving.formats.registry import composed
from router_model.serving.providers.usage import Usage


class Tagging:
    """A translation that says where a body went through, and cuts an event in two."""

    knows = None

    def __init__(self, name):
        self.name = name
        self.told = None

    def request(self, body):
        return {**body, "way": [*body.get("way", []), f"{self.name} request"]}

    def answer(self, answer):
        return {**answer, "way": [*answer.get("way", []), f"{self.name} answer"]}

    def stream(self):
        return self

    def translate(self, event):
        return [{**event, "way": [*event.get("way", []), f"{self.name} {n}"]} for n in (1, 2)]

    def end(self, facts):
        self.told = facts
        return [{"way": [f"{self.name} end"]}]


SURFACE, PROVIDER = Tagging("surface"), Tagging("provider")


def tagged():
    SURFACE.told = PROVIDER.told = None
    return composed(SURFACE, PROVIDER)


def test_requests_go_one_way_and_answers_back():
    assert tagged().request({"a": 1}) == {"a": 1, "way": ["surface request", "provider request"]}
    assert tagged().answer({"a": 1}) == {"a": 1, "way": ["provider answer", "surface answer"]}


def test_every_chunk_of_an_event_is_translated_on():
    """One event becomes two chunks, and each of them two events."""
    assert [event["way"] for event in tagged().stream().translate({})] == [
        ["provider 1", "surface 1"],
        ["provider 1", "surface 2"],
        ["provider 2", "surface 1"],
        ["provider 2", "surface 2"],
    ]


def test_at_the_end_the_last_chunks_are_translated_before_the_surfaces_own_end():
    events = tagged().stream().end(Facts())
    assert [event["way"] for event in events] == [
        ["provider end", "surface 1"],
        ["provider end", "surface 2"],
        ["surface end"],
    ]


def test_the_surface_is_told_the_reason_in_openais_words():
    """The provider said ``MAX_TOKENS``, its translation ``length``; the usage is the provider's."""
    translation = tagged()
    stream = translation.stream()
    stream.translate({"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "length"}]})
    facts = Facts(finish_reason="MAX_TOKENS", usage=Usage(3, 1))
    stream.end(facts)
    assert PROVIDER.told is facts
    assert SURFACE.told == Facts(finish_reason="length", usage=Usage(3, 1))


def test_without_a_chunk_that_finishes_the_providers_word_stays():
    translation = tagged()
    translation.stream().end(Facts(finish_reason="STOP"))
    assert SURFACE.told.finish_reason == "STOP"


def test_two_streams_do_not_mix():
    translation = tagged()
    translation.stream().translate({"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]})
    translation.stream().end(Facts())
    assert SURFACE.told.finish_reason is None
