"""The Realtime protocol: its events, its dialects, and the bridge between a caller and a backend that speaks it.

Read in this order:

* `fields`          reading JSON whose shape nobody promises
* `dialect`         the two shapes of the protocol, and from one to the other
* `base64_audio`    audio inside events
* `options`         what can be set, and what must be known of a backend
* `states`          the connection to the backend, and the playing of a response, as tables
* `drops`           why something was not passed on
* `client_events`   what a client may say: from a text to an event, within limits
* `rate_limit`      how often it may
* `server_events`   what is said here, where no backend says it
* `required_keys`   what stock clients cannot be without
* `serialization`   from an event to a text that the other end takes
* `audience`        who listens, and what each gets
* `session_config`  what callers want, what the backend is told, what callers are shown
* `session_updates` who waits for an answer to `session.update`
* `configuring`     the way of a `session.update`
* `uplink`          what the caller says: from when, and in which pieces
* `playback`        what the agent says, and how far it was heard
* `interruption`    cutting it off
* `items`           what was said, in words
* `correlation`     whose event an error is about
* `parts`           what a bridge is made of
* `backend_side`    what goes to the backend, and what comes from it
* `client_side`     what clients may do
* `outputs`         what a bridge wants done
* `memory`          what another process's bridge goes on with; `moved_playback` is what is being said just then,
                    `moved_backend` what is under way with a backend that stays the same
* `bridge`          inputs, outputs, time
* `passthrough`     the protocol over a WebSocket, without a call
"""
