"""Asking for a model: `?model=`, as the Realtime clients do."""

import httpcore
import pytest

from edge.caller.signalling import SignalClient


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (None, b"/v1/realtime/calls"),
        ("gpt-realtime", b"/v1/realtime/calls?model=gpt-realtime"),
        ("a model&more", b"/v1/realtime/calls?model=a+model%26more"),
    ],
)
async def test_the_offer_names_the_model(monkeypatch, model, path):
    asked = []

    async def answer(self, request):
        asked.append(request.url.target)
        return httpcore.Response(201, content=b"v=0")

    monkeypatch.setattr(httpcore.AsyncConnectionPool, "handle_async_request", answer)
    client = SignalClient("http://127.0.0.1:1", model=model)
    assert (await client.offer("v=0")).answer == "v=0"
    await client.aclose()
    assert asked == [path]
