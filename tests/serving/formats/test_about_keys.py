import pytest

from router_model.serving.formats.about_keys import is_limit_of_key, kind_by_key
from router_model.serving.providers.failures import FailureKind

KEY, REFUSED = FailureKind.KEY, FailureKind.REFUSED


@pytest.mark.parametrize(
    ("status", "names", "message", "kind"),
    [
        (401, ["invalid_api_key"], "Incorrect API key provided: ***.", KEY),
        (429, ["insufficient_quota"], "See the billing page.", KEY),
        (429, [], "Your team t-1 has either used all available credits or reached its spending limit.", None),
        (403, [], "Key limit exceeded (monthly limit).", REFUSED),
        (403, [], "Sorry, your account balance is insufficient", REFUSED),
        (403, ["CONSUMER_SUSPENDED"], "Permission denied: Consumer 'api_key:***' has been suspended.", KEY),
        (403, [], "Your API key was reported as leaked.", REFUSED),
        (403, ["UnrecognizedClientException"], "The security token is not valid.", KEY),
        (400, [], "Your credit balance is too low to access the API.", REFUSED),
        (400, [], "This organization has been disabled.", REFUSED),
        (400, ["Arrearage"], "Access denied, please make sure your account is in good standing.", KEY),
        (None, ["account_deactivated"], "", KEY),
        (402, [], "This needs more credits, or fewer max_tokens. You can only afford 812.", REFUSED),
        (401, ["key_model_access_denied"], "key not allowed to access model.", REFUSED),
        (403, ["AccessDeniedException"], "You don't have access to the model with that id.", REFUSED),
        (403, [], "The request was blocked by the content policy.", None),
        (403, ["unsupported_country_region_territory"], "Country, region, or territory not supported", None),
        (403, [], "HTTP 403 with a page of HTML; expected an error in JSON", None),
        (403, [], "The user disabled the tool that was asked for.", None),
        (400, [], "Unknown parameter: 'foo'.", None),
    ],
)
def test_what_is_about_the_key_is_told_from_what_is_about_the_request(status, names, message, kind):
    assert kind_by_key(status, names, message) is kind


@pytest.mark.parametrize("quotes", ["''", '""', "``", "“”"])
def test_words_that_are_quoted_do_not_count(quotes):
    """A provider repeats what it was sent: a caller must not be able to put words into its mouth."""
    message = f"tool_choice: got {quotes[0]}invalid api key, account suspended{quotes[1]}; it doesn't exist"
    assert kind_by_key(400, [], message) is None


@pytest.mark.parametrize(
    ("headers", "names", "message", "of_key"),
    [
        ({}, ["rate_limit_exceeded", "tokens"], "Rate limit reached for gpt-4o in organization org-1 on TPM", False),
        ({}, ["requests"], "Rate limit reached in organization org-1 on requests per day (RPD): Limit 200", True),
        ({}, [], "Rate limit reached for model `m` in organization `org_1` service tier `on_demand`", False),
        ({}, [], "This request would exceed your account's rate limit.", True),
        ({}, [], "Rate limit exceeded: free-models-per-day", True),
        ({}, ["organization_rate_limit_exceeded"], "Slow down", True),
        ({}, [], "Too many requests for this deployment of your account", False),
        ({}, ["rate_limit_error"], "slow down", False),
        ({"x-ratelimit-scope": "Organization"}, [], "slow down", True),
        ({"x-ratelimit-scope": "model"}, [], "your account is limited", False),
    ],
)
def test_a_limit_is_the_models_unless_the_provider_says_otherwise(headers, names, message, of_key):
    assert is_limit_of_key(headers, names, message) is of_key
