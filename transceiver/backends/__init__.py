"""What listens and speaks behind a call.

Read in this order:

* `contract`     what a backend is asked to do: packets inline, or a link that carries events and PCM
* `settings`     what is known of a backend, and how it is written
* `choice`       which of them answers a call
* `links`        from settings to a connection, and to what the bridge is to know
* `echo`         gives the caller their own voice back, without transcoding
* `silence`      says nothing, to a client that does not want to hear
* `agent`        a Python function in this process
* `realtime`     any server that speaks the Realtime protocol over WebSocket; `realtime_options` says which, and how
  patient to be with it, `realtime_reading` is what it sends
* `tunnel`       such a connection, kept for a call that goes on in another process; `tunnel_ticket` is the right to it,
  `tunnelled` the other process's end, and `tunnel_term` says when that one leaves it
* `reconnecting` how often a lost server is tried again
"""
