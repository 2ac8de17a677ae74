"""From the caller's packets to PCM, and from PCM to the packets that the caller hears.

Read in this order. What both directions use:

* `opus_packet`       what an Opus packet says before it is decoded: its length, its spare copy, the rules it must keep
* `library`, `opus`   libopus: finding it, encoding, decoding, making up for what is missing
* `g711`              the two laws of the telephone network
* `resampling`        from one rate to another, for G.711 and files

Audio out, to the caller:

* `speech_queue`      what the backend has said and the caller has not heard; what was heard of it, to the sample
* `adaptation`        bitrate and FEC by what the peer reports
* `send_history`      which packets arrived and when, by transport-wide feedback
* `speech_encoding`   what the sender asks of a codec
* `sender`            a packet every 20 ms, the media clock, and what silence is
"""
