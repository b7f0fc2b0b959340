import json
import logging
import logging.config

import pytest
from fake_service import client_of, fake_parts

from router_model.serving.common.log_lines import JsonLines, LogFormat, TextLines, logging_config
from router_model.serving.common.settings import Settings

BODY = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def logged(router, caplog):
    """Ask a service with an access log; return its answers and the records of the log."""
    caplog.set_level(logging.INFO, logger="router_model.access")
    parts = fake_parts(router)
    parts.settings = Settings(artifact="r", insecure=True, access_log=True)
    with client_of(parts) as client:
        answers = [
            client.post("/v1/route", json=BODY),
            client.get(f"/v1/no%0Asuch/rm_k7f3q9xw2m4t_{'A' * 43}/chat?key=secret"),
            client.get("/readyz"),
        ]
    return answers, [record for record in caplog.records if record.name == "router_model.access"]


def test_each_request_has_a_line_with_its_ids_and_a_good_probe_has_none(logged):
    (decided, refused, probe), lines = logged
    said = [json.loads(JsonLines().format(line)) for line in lines]
    assert [(one["method"], one["path"], one["status"]) for one in said] == [
        ("POST", "/v1/route", 200),
        ("GET", "/v1/no%0Asuch/rm_k7f3q9xw2m4t_***/chat", refused.status_code),
    ]
    assert said[0]["request_id"] == decided.headers["x-request-id"]
    assert said[0]["decision_id"] == decided.json()["id"]
    assert said[0]["bytes"] == len(decided.content)
    assert 0 < said[0]["duration_s"] < 60
    assert probe.status_code == 200
    assert "secret" not in json.dumps(said)  # of the query
    assert "AAAA" not in json.dumps(said)  # of a key that a client put into its base URL


def test_a_line_of_text_is_one_line_and_a_json_line_keeps_the_traceback():
    def record(**more):
        return logging.LogRecord("router_model.x", logging.ERROR, "f", 1, "broke: %s", ("it",), None, **more)

    plain = record()
    plain.fields = {"key_id": None, "status": 500}
    assert TextLines("%(levelname)s: %(message)s").format(plain) == "ERROR: broke: it status=500"
    cause = ValueError("why")
    broken = logging.LogRecord("x", logging.ERROR, "f", 1, "broke", (), (ValueError, cause, None))
    said = json.loads(JsonLines().format(broken))
    assert (said["level"], said["message"]) == ("error", "broke")
    assert said["exception"].endswith("ValueError: why\n")
    assert TextLines("%(message)s").format(broken) == "broke\nValueError: why"


@pytest.mark.parametrize("lines", LogFormat)
def test_either_format_is_what_logging_takes(lines):
    config = logging_config(lines)
    made = logging.config.DictConfigurator(config).configure_formatter(config["formatters"]["line"])
    assert isinstance(made, JsonLines if lines is LogFormat.JSON else TextLines)
