"""Nobody spends more than is counted, and nobody keeps others from spending."""

import asyncio
import logging
from contextlib import suppress
from decimal import Decimal
from unittest.mock import Mock

import orjson
import pytest
from raw_server import raw_server
from scripted_provider import Says, World, broken, status, stream
from starlette.datastructures import Headers
from virtual_time import run

from router_model.catalog import ModelCard
from router_model.serving.access.admission import Admission
from router_model.serving.access.budgets import SERVICE, Budgets
from router_model.serving.access.key_budget import KeyBudget, Per
from router_model.serving.common.callers import INSECURE
from router_model.serving.common.service_errors import BudgetExceededError, InvalidRequestError, UpstreamError
from router_model.serving.decision_log.log_records import AttemptRecord
from router_model.serving.formats.format import Facts, Surface
from router_model.serving.formats.worst_cases import worst_cases_usd
from router_model.serving.forwarding.reply import Reply
from router_model.serving.providers.http import HttpRequest
from router_model.serving.providers.plausible import Shown, counted
from router_model.serving.providers.provider import Deadlines, Kind, Provider, Target
from router_model.serving.providers.sent import Sent
from router_model.serving.providers.transport import AiohttpTransport
from router_model.serving.providers.usage import Usage
from router_model.serving.providers.worst_case import LARGEST_OUTPUT_TOKENS, worst_case_usd
from router_model.serving.proxy.account import Account
from router_model.serving.proxy.proxy_request import read_proxy_request

CARD = ModelCard("m", Decimal(1), Decimal(10))
TEN = KeyBudget(Decimal(10), Per.DAY)
NO_ONE = Provider("p", Kind.OPENAI, "https://p.example/v1")


# --- counts that decide what a call can cost -------------------------------------------------------------


def asked(surface, body):
    return read_proxy_request(
        surface, {"messages": [], **body}, Headers({}), by_policy={"p": "default"}.get, most_s=1.0, ours=frozenset()
    )


def nested(path, value):
    *outer, name = path.split(".")
    body = {name: value}
    for one in reversed(outer):
        body = {one: body}
    return body


COUNTS = [
    (Surface.CHAT, "max_tokens"),
    (Surface.CHAT, "max_completion_tokens"),
    (Surface.CHAT, "n"),
    (Surface.CHAT, "best_of"),
    (Surface.CHAT, "thinking.budget_tokens"),
    (Surface.CHAT, "reasoning.max_tokens"),
    (Surface.MESSAGES, "max_tokens"),
    (Surface.MESSAGES, "thinking.budget_tokens"),
    (Surface.GENERATE, "generationConfig.candidateCount"),
    (Surface.GENERATE, "generation_config.max_output_tokens"),
    (Surface.GENERATE, "generationConfig.thinkingConfig.thinkingBudget"),
]


@pytest.mark.parametrize(("surface", "path"), COUNTS)
def test_a_count_is_read_as_a_whole_number_and_goes_out_so(surface, path):
    for value in (5, "5", 5.0, " 5 ", "5.0", "+5"):
        assert asked(surface, nested(path, value)).call.body == {"messages": [], **nested(path, 5)}
    assert asked(surface, nested(path, None)).call.body == {"messages": [], **nested(path, None)}


@pytest.mark.parametrize(("surface", "path"), COUNTS)
def test_what_is_no_count_is_refused(surface, path):
    for value in ("abc", "", "1e3", "5 5", "\uff15", -7, 2.5, "2.5", True, [5], {"a": 5}, 1e300, 2**70, "9" * 5000):
        with pytest.raises(InvalidRequestError, match="expected a whole number from") as caught:
            asked(surface, nested(path, value))
        assert caught.value.param == path
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("surface", "path", "value"),
    [
        (Surface.CHAT, "max_tokens", -1),
        (Surface.CHAT, "max_completion_tokens", "-1"),
        (Surface.GENERATE, "generationConfig.maxOutputTokens", 0),
        (Surface.GENERATE, "generationConfig.candidateCount", 0),
    ],
)
def test_a_count_that_asks_for_no_limit_is_left_out(surface, path, value):
    outer = path.rpartition(".")[0]
    left = nested(outer, {}) if outer else {}
    assert asked(surface, nested(path, value)).call.body == {"messages": [], **left}


def worst(body, surface=Surface.CHAT, card=CARD):
    (usd,) = worst_cases_usd(asked(surface, body).call, [Target("m", NO_ONE, "m", card)])
    return usd


@pytest.mark.parametrize(
    ("surface", "body", "n_tokens"),
    [
        (Surface.CHAT, {"max_tokens": "100", "n": "5"}, 500),
        (Surface.CHAT, {"max_tokens": 100, "n": 2, "best_of": 5}, 500),
        (Surface.CHAT, {"max_tokens": 100, "reasoning": {"max_tokens": 900}}, 900),
        (Surface.MESSAGES, {"max_tokens": 100, "thinking": {"type": "enabled", "budget_tokens": "900"}}, 900),
        (Surface.GENERATE, {"generationConfig": {"candidateCount": "3", "maxOutputTokens": 100.0}}, 300),
        (
            Surface.GENERATE,
            {"generationConfig": {"maxOutputTokens": 1}, "generation_config": {"max_output_tokens": 9}},
            9,
        ),
    ],
)
def test_all_that_can_be_written_is_reserved(surface, body, n_tokens):
    """$10 a million tokens out, $1 a million bytes in."""
    n_bytes = len(orjson.dumps(asked(surface, body).call.body))
    assert worst(body, surface) == Decimal(n_bytes + 10 * n_tokens) / 1_000_000


@pytest.mark.parametrize(
    ("window", "longest", "n_tokens"),
    [
        (None, None, LARGEST_OUTPUT_TOKENS),
        (None, 8000, 8000),
        (50_000, None, 49_000),
        (50_000, 8000, 8000),
        (900, 8000, 1),
    ],
)
def test_no_more_is_reserved_than_a_model_can_write(window, longest, n_tokens):
    """A billion tokens are asked for; 128,000 bytes of input are 1,000 tokens at least."""
    card = ModelCard("m", Decimal(0), Decimal(10), context_window=window, max_output_tokens=longest)
    assert worst_case_usd(card, 128_000, 10**9) == Decimal(n_tokens) / 100_000


# --- who pays for what was sent --------------------------------------------------------------------------

PROMPT = {"messages": [{"role": "user", "content": "word " * 8000}]}
"""About 40,000 bytes: 10,000 tokens, which are $0.01."""
SILENT = Says(before=[60.0])
JSON = {"content-type": "application/json"}


def spent_on(says, *, leaves_after_s=None, streams=True, **fields):
    """Return the cost and the error of the first attempt of a call, in the log."""

    async def call():
        forwarding = asyncio.create_task(world.forward(streams=streams, body=PROMPT, **fields))
        if leaves_after_s is not None:
            await asyncio.sleep(leaves_after_s)
            forwarding.cancel()
        reply = await forwarding
        if reply.stream is not None:
            async for _ in reply.stream:
                pass

    world = World(
        {"a:m": [says]}, cards={"a:m": CARD}, deadlines=Deadlines(first_token_s=5.0, idle_s=5.0, total_s=20.0)
    )
    with suppress(UpstreamError, asyncio.CancelledError):
        run(call())
    first = world.records[0]
    return first.cost_usd, first.error_type


@pytest.mark.parametrize(
    ("says", "options", "error"),
    [
        pytest.param(SILENT, {"leaves_after_s": 1}, "client_gone", id="the caller hung up"),
        pytest.param(SILENT, {"leaves_after_s": 1, "streams": False}, "client_gone", id="the caller of a whole answer"),
        pytest.param(stream(60.0), {"leaves_after_s": 1}, "client_gone", id="after the head"),
        pytest.param(SILENT, {}, "timeout", id="no first token"),
        pytest.param(SILENT, {"total_s": 2.0}, "timeout", id="the call's time was up"),
        pytest.param(stream(broken()), {}, "connection", id="cut after the head"),
        pytest.param(stream(), {}, "truncated", id="ended after the head"),
        pytest.param(Says([b'{"te'], headers=JSON), {"streams": False}, "malformed", id="half an answer"),
    ],
)
def test_input_that_was_read_is_paid(says, options, error):
    cost_usd, error_type = spent_on(says, **options)
    assert (cost_usd, error_type) == (pytest.approx(0.01, rel=0.01), error)


@pytest.mark.parametrize(
    ("says", "error"),
    [
        pytest.param(status(400), "bad_request", id="400"),
        pytest.param(status(429), "rate_limited", id="429"),
        pytest.param(status(503), "server", id="503"),
        pytest.param(Says(before=[broken()]), "connection", id="not sent"),
        pytest.param(Says(before=[1.0, broken()]), "connection", id="broken before any answer"),
        pytest.param(Says([b"<html>"], headers={"content-type": "text/html"}), "malformed", id="a page"),
        pytest.param(stream(b'data: {"error": "server"}\n\n'), "server", id="an error in a stream"),
    ],
)
def test_input_is_not_paid_where_no_provider_charges_for_it(says, error):
    assert spent_on(says) == (None, error)


def test_words_that_came_are_paid_beside_the_input():
    """400 bytes are 100 tokens out: $0.001 beside the input's $0.01."""
    shown = Shown(Sent(orjson.dumps(PROMPT)), 400, has_content=True, is_complete=False, is_read=True)
    assert counted(None, shown, Target("m", NO_ONE, "m", CARD)).cost_usd == pytest.approx(0.011, rel=0.01)


@pytest.mark.parametrize("n_bytes", [2, 200_000, 3_000_000])
async def test_a_request_counts_as_sent_once_all_of_it_is(n_bytes):
    """The server reads the request and never answers; the caller leaves."""
    sent = asyncio.Event()

    async def read(connection):
        await connection.request()
        await connection.wait_until_left()

    transport = AiohttpTransport()
    async with asyncio.timeout(10), raw_server(read) as server:
        request = HttpRequest(f"{server.url}/v1", {}, b"x" * n_bytes, on_sent=sent.set)
        sending = asyncio.create_task(transport.send(request))
        await sent.wait()
        assert not sending.done()
        sending.cancel()
        await asyncio.wait({sending})
    await transport.close()


def test_letters_in_a_row_are_no_image():
    """200,000 letters without a space are 50,000 tokens by estimate; as base64 of an image they are 1,000."""
    target = Target("m", NO_ONE, "m", CARD)
    letters = b"A" * 200_000
    said = {b'{"content":"%s"}' % letters: 50_004, b'{"url":"data:image/png;base64,%s"}' % letters: 1_003}
    for sent, n_tokens in said.items():
        assert counted(
            None, Shown(Sent(sent), 0, has_content=False, is_complete=False, is_read=True), target
        ).usage == Usage(n_tokens, 0)


# --- reports that cannot be ------------------------------------------------------------------------------


def reported(usage, card=CARD, *, n=1, sent=b'{"messages":[],"n":%d}', is_text=True):
    shown = Shown(Sent(sent % n if b"%d" in sent else sent), 40, has_content=True, is_complete=True, is_text=is_text)
    return counted(usage, shown, Target("m", NO_ONE, "m", card))


@pytest.mark.parametrize(
    ("usage", "reasons", "card"),
    [
        (Usage(10**15, 10), ("input_too_many",), CARD),
        (Usage(10, 10**15), ("output_too_many",), CARD),
        (Usage(10, 10**15, reasoning_tokens=10**15), ("output_too_many",), CARD),
        (Usage(10, 10, billed_usd=1e300), ("cost_too_high",), CARD),
        (Usage(10, 10, billed_usd=1e300), ("cost_too_high",), None),
        (Usage(10, 10, billed_usd=11.0), ("cost_too_high",), None),
        (Usage(10, 10, has_odd_bill=True), ("cost_no_amount",), CARD),
    ],
)
def test_a_report_that_cannot_be_is_estimated(usage, reasons, card):
    found = reported(usage, card)
    assert found.reasons == reasons
    assert (found.cost_usd or 0.0) < 0.001
    assert (found.budget_usd or 0.0) <= 101  # ten million tokens at most


def test_many_answers_do_not_explain_any_count():
    """No provider gives more than 128 answers: a request for a billion of them explains no more than 128 do."""
    assert reported(Usage(10, 10**14), n=10**9).reasons == ("output_too_many",)


def test_embeddings_have_no_output_to_be_billed():
    assert reported(Usage(10, 10**15), is_text=False).reasons == ("output_too_many",)


def test_a_report_that_cannot_be_is_said_once_a_minute(caplog):
    record = AttemptRecord("a", None, None, provider="odd", model="m", usage_estimated="input_zero, cost_no_amount")
    cut = AttemptRecord("a", None, None, provider="cut", model="m", usage_estimated="input_missing, output_cut")
    account = Account((), Admission(), Mock())
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            account.observe(record)
            account.observe(cut)
    (said,) = caplog.messages
    assert "odd:m reports impossible tokens or an impossible cost (input_zero, cost_no_amount)" in said


# --- budgets that one call holds -------------------------------------------------------------------------


@pytest.fixture
def budgets(tmp_path):
    made = Budgets(tmp_path / "budgets.db", service=TEN)
    yield made
    made.close()


def reserve(budgets, key_id, usd):
    return budgets.reserve(key_id, None, lambda: Decimal(usd), within_s=60)


def service(budgets):
    """Return what is spent and reserved of the service's budget, in USD."""
    found = budgets.balance(SERVICE, TEN)
    return found.spent / 1e9, found.reserved / 1e9


def test_one_keys_calls_under_way_hold_three_quarters_of_what_is_left(budgets):
    """Of $10: one holds $7.50 at most; once $2 are spent, $6; others have the rest."""
    with pytest.raises(BudgetExceededError, match="that is more than one key may reserve") as caught:
        reserve(budgets, "evil", 8)
    assert int(caught.value.headers["retry-after"]) > 1
    first = reserve(budgets, "evil", 7)
    with pytest.raises(BudgetExceededError, match="wait until one of them has ended") as caught:
        reserve(budgets, "evil", 1)
    assert caught.value.headers["retry-after"] == "1"
    reserve(budgets, "victim", 2).settle(2.0)
    first.release()
    assert reserve(budgets, "evil", 6) is not None
    assert reserve(budgets, "victim", 2) is not None


def test_a_service_without_keys_has_one_caller_who_gets_all(budgets):
    assert reserve(budgets, INSECURE.key_id, 10) is not None


def account_of(reservation, worst_usd):
    admission = Admission()
    admission.reservation = reservation
    return Account((), admission, Mock(), worst_usd)


def test_a_stream_holds_less_and_less_and_nothing_once_its_provider_has_ended(budgets, monkeypatch):
    """$4 for the dearest candidate; the one that answers may cost $2.

    100,000 tokens of it are written, which are $1: that is spent, and $1 is left. The provider's report says $0.90. The
    caller reads none of it.
    """
    monkeypatch.setattr("router_model.serving.proxy.account._NOTED_EVERY_S", 0.0)
    target = Target("m", NO_ONE, "m", ModelCard("m", Decimal(0), Decimal(10)))
    facts = Facts(has_content=True)
    account = account_of(reserve(budgets, "key", 4), {target.name: Decimal(2), "dear:m": Decimal(4)})
    account.stream(Reply(target, [], facts))
    assert service(budgets) == (0.0, 2.0)
    facts.n_bytes_written = 400_000
    account.go_on()
    assert service(budgets) == (1.0, 1.0)
    account.observe(AttemptRecord("a", None, None, status=200, cost_usd=0.9))
    assert service(budgets) == (0.9, 0.0)
    account.close()
    assert service(budgets) == (0.9, 0.0)


def test_what_a_stream_has_cost_so_far_is_never_more_than_was_reserved(budgets):
    reservation = reserve(budgets, "key", 4)
    reservation.go_on(100.0, Decimal(100))
    assert service(budgets) == (4.0, 0.0)
    reservation.settle(None)
    assert service(budgets) == (4.0, 0.0)
