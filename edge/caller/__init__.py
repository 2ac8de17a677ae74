"""The headless caller: `trio-voice call`, a whole WebRTC client without a browser, and the load generator.

It runs on the same protocol cores as the server, from the other side: controlling ICE, DTLS in either role, SRTP.
Read in this order:

* `recording`         what came back, put in order for a file
* `ogg`, `opus_file`  what to say, out of an Ogg Opus file, and what came back, into one; `voice.opus` is built in
* `wav_file`          the same with WAV, encoded and decoded
* `description`       the SDP offer like a browser's, and what matters of the answer
* `fragment`          the same for an ICE restart
* `audio`             the media path: packets of a clip out, packets and their statistics in
* `reports`           RTCP: sender reports out, what the server reports about us in
* `progress`          the stages of a call, its events, what may be chosen
* `events`            the data channel, over which a call speaks with an agent in events
* `media`             audio and reports under SRTP
* `silence`           when audio has stopped, and the path has to be checked
* `session`           `CallerSession`: all of these and ICE, DTLS, SRTP in one core, without sockets or a clock
* `wires`             a UDP socket, or framed TCP connections
* `exchange`          sockets and time for many sessions: one waiting task, one ticker
* `signalling`        POST and DELETE
* `placing`           one call from beginning to end, and the words for what may go wrong
* `conversing`        what a call says and hears in events
* `results`           what a call was like, in numbers
* `load`              many calls: ramping, the first loss or late ticks, and whose fault it was
* `printing`          what the terminal shows
* `command`           the command line
"""
