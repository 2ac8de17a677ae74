"""The JSON body that every failure has.

Source: specs of the OpenAI API, whose clients read `error.message`: `{"error": {message, type, code, param}}`.
"""

from edge.http.messages import HeaderList, Response, json_response

__all__ = ["error_response", "type_of_status"]


def type_of_status(status: int) -> str:
    """Return the broad kind of a failure, as clients of the OpenAI API know it."""
    if status == 401:
        return "authentication_error"
    if status == 403:
        return "permission_error"
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"


def error_response(
    status: int, code: str, message: str, *, param: str | None = None, headers: HeaderList = ()
) -> Response:
    """Return a failure.

    Args:
        status: 400 or higher.
        code: a stable word for programs.
        message: a sentence for the developer of the client; says what would be right.
        param: the part of the request that is wrong, where one can be named.
        headers: what to send with it.
    """
    error = {"message": message, "type": type_of_status(status), "code": code, "param": param}
    return json_response(status, {"error": error}, headers)
