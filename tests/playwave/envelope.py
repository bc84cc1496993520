"""The documented envelope, checked to the key on every answer that a test looks at."""

import re
from typing import Any, Final

import httpx

REQUEST_ID: Final = re.compile(r"req_[0-9a-f]{32}")
TIMESTAMP: Final = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z")
SESSION_ID: Final = re.compile(r"gs_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
UUID4: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

Json = dict[str, Any]


def data_of(response: httpx.Response) -> Json:
    """Return the data of a success, and hold the rest of it to the document."""
    body = _body(response)
    assert response.status_code == 200, body
    assert list(body) == ["success", "request_id", "data"]
    assert body["success"] is True
    data: Json = body["data"]
    return data


def refusal_of(response: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal, and hold the rest of it to the document."""
    error = error_of(response)
    return response.status_code, error["code"]


def error_of(response: httpx.Response) -> Json:
    """Return the error of a refusal, and hold the rest of it to the document."""
    body = _body(response)
    assert response.status_code >= 400, body
    assert list(body) == ["success", "request_id", "error"]
    assert body["success"] is False
    error: Json = body["error"]
    assert list(error)[:3] == ["code", "message", "timestamp"]
    assert set(error) <= {"code", "message", "timestamp", "settlement"}
    assert isinstance(error["code"], str)
    assert isinstance(error["message"], str)
    assert error["message"]
    assert TIMESTAMP.fullmatch(error["timestamp"])
    return error


def anonymous(response: httpx.Response) -> tuple[int, Json]:
    """Return what an answer says, without what every answer has for itself: the request id and the timestamp."""
    body = _body(response)
    del body["request_id"]
    if "error" in body:
        del body["error"]["timestamp"]
    return response.status_code, body


def _body(response: httpx.Response) -> Json:
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    body: Json = response.json()
    given = response.request.headers.get("x-request-id")
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["request_id"] == given or REQUEST_ID.fullmatch(body["request_id"])
    return body
