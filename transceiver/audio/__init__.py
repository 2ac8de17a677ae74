"""From the caller's packets to PCM, and from PCM to the packets that the caller hears.

Read in this order. What both directions use:

* `opus_packet`       what an Opus packet says before it is decoded: its length, its spare copy, the rules it must keep
* `library`, `opus`   libopus: finding it, encoding, decoding, making up for what is missing
* `g711`              the two laws of the telephone network
* `resampling`        from one rate to another, for G.711 and files

Audio in, from the caller:

* `listening_options`  hearing soon or hearing all, with what each costs
* `histogram`, `delay_estimate`   what a path is like: a histogram that forgets; lateness against a drifting clock
* `audio_packet`      a packet on its way to the decoder, and why one never gets there
* `jitter_buffer`     packets in order, and how long a gap is left open
* `media_time`        timestamps and the clock: pauses, stalls, drift and jumps
* `red`               redundant audio: the copies in a packet
* `telephone_event`   the keys that a caller presses
* `concealment`, `decoders`   what stands in for what was lost, and one decoder for each codec
* `depacketizer`      what is in an RTP packet: codec, duration, lateness, copies, keys
* `receiver`          all of it together: packets in, PCM out

Audio out, to the caller:

* `speech_queue`      what the backend has said and the caller has not heard; what was heard of it, to the sample
* `adaptation`        bitrate and FEC by what the peer reports
* `send_history`      which packets arrived and when, by transport-wide feedback
* `speech_encoding`   what the sender asks of a codec
* `sender`            a packet every 20 ms, the media clock, and what silence is
"""
