"""RTP and RTCP, and protecting them: SRTP and SRTCP.

Read in this order. To learn how packets are protected:

* `profile`       the three protection profiles, and how long their keys are
* `keying`        from a DTLS handshake to a master key for each direction
* `derivation`    from a master key to session keys
* `transform`     what a cipher does to one packet; the ciphers are `aes_cm` and `aes_gcm`
* `secure_rtp`    SRTP as the RFC has it: guessing the index, refusing replays
* `secure_rtcp`   SRTCP the same way; this is what carries our reports
* `libsrtp`       the same in C, for the packets of a call
* `session`       what a call uses: RTP through `libsrtp`, RTCP through `secure_rtcp`, bounds
* `snapshot`      the state of a session, to go on in another process

To learn what is in the packets:

* `rtp`           the RTP header, and quick looks into a raw packet
* `extensions`    header extensions: audio level, transport-wide sequence number
* `rtcp`          a package: one kind of packet a file

To learn how a connection is judged:

* `sending`       one source of ours: its numbers, its sender reports, the round-trip time
* `reception`     one source of the peer's: loss and jitter, the report blocks
* `feedback`      when each packet arrived, for the peer's bandwidth estimation
"""
