import json
from dataclasses import replace

from shared.model.outbound.posting import Reply
from shared.model.webhooks.webhook import Callback
from shared.services.webhooks.requests.listing import (
    listed,
    no_response_message,
    request_message,
    response_message,
)
from shared.services.webhooks.requests.masking import masked_headers, origin_of
from shared.services.webhooks.requests.posting import posting_of
from tests.unit.services.webhooks.requests.test_bodies import ping
from tests.unit.services.webhooks.requests.test_posting import NOW, WEBHOOK

CALLBACK = Callback("http://www.microsoft.com", {"key": "value"})
POSTING = posting_of(WEBHOOK, CALLBACK, ping(), NOW)
REPLY = Reply(403, "Forbidden", "HTTP/1.1", {"Content-Type": "text/html"}, b"<html>\xff")


def test_a_ping_is_listed_as_acr_does_to_the_byte() -> None:
    request = request_message(POSTING.url, POSTING.headers, POSTING.body)
    told = listed("cb8c3971-9adc-488b-bdd8-43cbb4974ff5", request, response_message(REPLY))
    assert json.dumps(told, separators=(",", ":"), ensure_ascii=False) == (
        '{"eventRequestMessage":{"content":{"id":"cb8c3971-9adc-488b-bdd8-43cbb4974ff5",'
        '"timestamp":"2017-11-17T16:52:01.3431450Z","action":"ping"},'
        '"headers":{"key":"value","Content-Type":"application/json; charset=utf-8",'
        '"Content-Length":"104"},'
        '"method":"POST","requestUri":"http://www.microsoft.com/","version":"1.1"},'
        '"eventResponseMessage":{"content":"<html>\ufffd","headers":{"Content-Type":"text/html"},'
        '"reasonPhrase":"Forbidden","statusCode":"403","version":"1.1"},'
        '"id":"cb8c3971-9adc-488b-bdd8-43cbb4974ff5"}'
    )


def test_what_was_recorded_is_listed_masked() -> None:
    uri, headers = origin_of(CALLBACK.uri), masked_headers(POSTING, CALLBACK)
    request = request_message(uri, headers, POSTING.body)
    assert request["requestUri"] == "http://www.microsoft.com"
    assert request["headers"] == {
        "key": "***",
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": "104",
    }


def test_a_user_agent_of_the_users_is_listed() -> None:
    callback = replace(CALLBACK, headers={"User-Agent": "mine"})
    posting = posting_of(WEBHOOK, callback, ping(), NOW)
    request = request_message(posting.url, posting.headers, posting.body)
    assert request["headers"]["User-Agent"] == "mine"


def test_a_receiver_that_takes_too_long_is_listed_as_acr_does() -> None:
    assert no_response_message() == {
        "content": "Operation timed out.",
        "reasonPhrase": "GatewayTimeout",
        "statusCode": "504",
    }
    assert no_response_message("https://a.example: refused")["content"].endswith("refused")
