"""What listens and speaks behind a call.

* `contract` what a backend is asked to do
* `settings` what is known of a backend, and how it is written
* `choice`   which of them answers a call
* `agent`    a Python function in this process
* `echo`     gives the caller their own voice back, without transcoding
* `silence`  says nothing, to a client that does not want to hear
* `realtime` any server that speaks the Realtime protocol over WebSocket: `realtime_options` says which, and how patient
  to be with it, `realtime_reading` what it sends, `reconnecting` how often a lost one is tried again
"""
