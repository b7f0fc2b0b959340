import logging

import pytest

from router_model.serving.access.keys import new_key_text
from router_model.serving.http_edge.log_redaction import LOGGERS, RedactingFilter, redact_server_logs, redacted

ACCESS = '%s - "%s %s HTTP/%s" %d'


def test_an_access_log_line_keeps_neither_query_nor_key(caplog):
    key_id, text = new_key_text()
    redact_server_logs()
    logging.getLogger("uvicorn.access").error(ACCESS, "127.0.0.1:1", "GET", f"/v1/{text}?key=sk-123", "1.1", 401)
    assert caplog.messages == [f'127.0.0.1:1 - "GET /v1/rm_{key_id}_***?*** HTTP/1.1" 401']


def test_the_filter_is_put_on_once():
    redact_server_logs()
    redact_server_logs()
    for name in LOGGERS:
        assert sum(isinstance(each, RedactingFilter) for each in logging.getLogger(name).filters) == 1


@pytest.mark.parametrize("text", ["GET", "1.1", "/v1/route", "why?", "rm_short"])
def test_other_text_stays_as_it_is(text):
    assert redacted(text) == text


def test_records_without_arguments_pass():
    record = logging.LogRecord("a", logging.INFO, __file__, 1, "started", None, None)
    assert RedactingFilter().filter(record)
    assert record.getMessage() == "started"
