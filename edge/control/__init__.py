"""The control API: how signal asks a transceiver for calls.

HTTP and JSON, with a bearer key that both derive, and mutual TLS where it is configured.

Read in this order:

* `messages`     the JSON of both directions, read and written
* `refusals`     how the transceiver says no
* `server`       the transceiver's end: a handler over its `Calls`
* `sockets`      the same for its `Conversations`, over WebSockets
* `client`       signal's end: the same commands, and the same exceptions
* `tls`          both ends' certificates, and what they must say
* `connections`  below the client: HTTP connections that stay open

| request                                       | answer                                                              |
|-----------------------------------------------|---------------------------------------------------------------------|
| `POST /control/v1/calls`                      | 201 `{call_id, answer}`; 400, 403 `model_not_allowed`, 503          |
| `DELETE /control/v1/calls/{call_id}?owner=…`  | 200 `{}`; 404 `call_id_not_found`; 403 `not_owner`                  |
| `PATCH /control/v1/calls/{call_id}?owner=…`   | 200 `{tag, fragment, …}`; 400 `invalid_fragment`; 404; 403; 412; 503|
| `GET /control/v1/calls/{call_id}?owner=…`     | 200 and the call's state; 404; 403                                  |
| `GET /control/v1/calls/{call_id}/sideband?…`  | 101: the events of a call; 404; 403; 503                            |
| `GET /control/v1/realtime`                    | 101: a backend's events and audio, for `Trio-Voice-Wishes`; 403; 503|
| `GET /control/v1/status`                      | 200 and the transceiver's state                                     |
| `GET /control/v1/status?worker=1`             | the same, when that worker has shown that it turns                  |

A call that was handed over is answered with 421 `call_moved` and its new owner's identity, whatever was asked.

Without `owner` the ownership is not checked: that is for an operator who holds the control key.
"""
