"""The routes for browsers: an offer comes in, an answer goes out, and nothing is kept.

Read in this order:

* `handler`    what happens to every request: who may knock, CORS, the table of routes
* `access`     who may knock: API keys, or only this machine when there are none
* `cors`       which web pages may read our answers
* `errors`     how each refusal is worded
* `calls`      making, looking at and ending calls
* `placement`  where the caller is, and which relay addresses and transceivers suit it
* `fleet`      what the transceivers say about themselves, asked every second
* `pages`      the page with the Talk button

| request                                   | answer                                                  |
|-------------------------------------------|---------------------------------------------------------|
| `POST /v1/realtime/calls`                 | 201, `Location`, the SDP answer                         |
| `GET /v1/realtime/calls/{call_id}`        | 200 and the call's state, for who made it               |
| `DELETE /v1/realtime/calls/{call_id}`     | 200                                                     |
| `POST /v1/realtime/calls/{call_id}/hangup`| 200                                                     |
| `OPTIONS` of any of these                 | 204, without a key                                      |
| `GET /healthz`, `/readyz`                 | 200, or 503 with the reason; from anywhere              |
| `GET /metrics`                            | 200; on this machine, or with a key                     |
| `GET /`, `/…`                             | the page                                                |
"""
