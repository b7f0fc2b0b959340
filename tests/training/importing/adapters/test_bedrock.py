"""Bedrock's invocation logs, with the bodies of several vendors."""

import pytest

from router_model.training.importing.adapters import NOWHERE, adapter_of
from router_model.training.importing.adapters.bedrock import bedrock
from router_model.training.importing.problems import RecordError

CLAUDE = {"anthropic_version": "x", "max_tokens": 9, "system": "S", "messages": [{"role": "user", "content": "Hi"}]}
CONVERSE = {
    "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
    "system": [{"text": "S"}],
    "inferenceConfig": {"maxTokens": 9},
}
CHAT = {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}], "max_output_tokens": 9}


def call(body, **changes):
    return {
        "schemaType": "ModelInvocationLog",
        "timestamp": "2025-03-01T10:00:00Z",
        "accountId": "secret",
        "identity": {"arn": "secret"},
        "requestId": "r1",
        "modelId": "arn:aws:bedrock:us-east-1:1:inference-profile/us.m-v1:0",
        "input": {"inputBodyJson": body, "inputTokenCount": 8, "cacheReadInputTokenCount": 2},
        "output": {"outputBodyJson": {"metrics": {"latencyMs": 500}}, "outputTokenCount": 3},
    } | changes


@pytest.mark.parametrize(
    ("body", "prompt"),
    [
        (CLAUDE, CHAT),
        (CONVERSE, CHAT),
        ({"inputText": "Hi", "textGenerationConfig": {}}, {"prompt": "Hi"}),
        ({"prompt": "Hi", "max_gen_len": 9}, {"prompt": "Hi"}),
    ],
)
def test_bodies_of_every_vendor_give_the_prompt(body, prompt):
    assert adapter_of(call(body)).name == "bedrock"
    (row,) = bedrock(call(body), NOWHERE).rows
    assert "secret" not in str(row)
    assert {key: row[key] for key in prompt} == prompt
    assert (row["model"], row["input_tokens"], row["output_tokens"], row["latency_s"]) == ("us.m-v1:0", 10, 3, 0.5)


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"errorCode": "ThrottlingException"}, "failed calls"), ({"modelId": "amazon.titan-embed"}, "embedding calls")],
)
def test_what_is_no_answered_chat_is_counted(changes, what):
    assert bedrock(call(CLAUDE, **changes), NOWHERE).skipped == {what: 1}


@pytest.mark.parametrize(
    ("given", "message"),
    [({}, "without its prompt"), ({"inputBodyS3Path": "s3://b/o"}, "whose body is in an object of its own")],
)
def test_call_without_its_body_is_refused(given, message):
    with pytest.raises(RecordError, match=message):
        bedrock(call(CLAUDE, input=given), NOWHERE)
