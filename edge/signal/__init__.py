"""The routes for browsers: an offer comes in, an answer goes out, and nothing is kept.

Read in this order:

* `handler`    what happens to every request: who may knock, CORS, the table of routes
* `access`     who may knock: API keys and client secrets, or only this machine when there are none
* `cors`       which web pages may read our answers
* `errors`     how each refusal is worded
* `calls`      making, changing, looking at and ending calls
* `finding`    which transceiver has a call, when it may have moved
* `offers`     what a request for a call says, in each of the shapes that clients send
* `patches`    what a client says of its ICE in the middle of a call
* `multipart`  one of these shapes: a form
* `bodies`     another: JSON, bounded
* `sessions`   session configurations: checked, brought into one shape, merged
* `wishes`     what a call is to be like, of all that has a say in it
* `limits`     how many offers one source may send
* `admission`  how many calls are begun at a time, when everybody comes at once
* `attempts`   whom to ask for a call, until one takes it
* `minting`    an API key becomes a client secret
* `client_secrets`  what that is: a token that carries all it stands for
* `sideband`   WebSockets: the sideband of a call, and the plain Realtime protocol
* `relaying`   texts carried between two sockets
* `geography`  the configured earth: regions, rules, relay addresses, and a choice over all of them
* `locating`   the file that tells where addresses are
* `placement`  which relay addresses and transceivers suit a caller, with all that is known of the fleet
* `explaining`, `recent`, `fleet_routes`  what operators see: why a caller is placed where, and the state for the map
* `announced`  the relay addresses that the registry knows, and how the relays behind them are
* `fleet`      what the transceivers say about themselves, asked every second
* `pages`      the page with the Talk button

| request                                           | answer                                                     |
|---------------------------------------------------|------------------------------------------------------------|
| `POST /v1/realtime/calls`, `POST /v1/realtime`    | 201, `Location`, `ETag`, the SDP answer                    |
| `PATCH /v1/realtime/calls/{call_id}`              | 204; 200, `ETag` and our fragment after an ICE restart     |
| `GET /v1/realtime/calls/{call_id}`                | 200 and the call's state, for who made it                  |
| `DELETE /v1/realtime/calls/{call_id}`             | 200                                                        |
| `POST /v1/realtime/calls/{call_id}/hangup`        | 200                                                        |
| `POST …/accept`, `…/refer`, `…/reject`            | 404: there are no telephone trunks                         |
| `GET /v1/realtime?call_id=…` as a WebSocket       | 101: a second control connection to a call                 |
| `GET /v1/realtime?model=…` as a WebSocket         | 101: a backend without a call, audio inside events         |
| `POST /v1/realtime/client_secrets`                | 200 `{value, expires_at, session}`, for an API key         |
| `POST /v1/realtime/sessions`                      | the same in the shape of the beta API                      |
| `POST /v1/realtime/transcription_sessions`        | as before                                                  |
| `OPTIONS` of any of these                         | 204, without a key                                         |
| all of these below `/openai/v1/realtime`          | the same, as Azure's clients ask                           |
| `GET /healthz`, `/readyz`                         | 200, or 503 with the reason; from anywhere                 |
| `GET /metrics`                                    | 200; on this machine, or with an API key                   |
| `GET /fleet`                                      | the page with the map of the fleet                         |
| `GET /fleet/state`                                | 200 and its data; on this machine, or with an API key      |
| `GET /fleet/where?ip=…`                           | 200 and the choice for a caller there; as before           |
| `GET /`, `/…`                                     | the page                                                   |
"""
