"""SCTP over DTLS, and data channels on it.

Read from the top, if you want to use it:

* `channels`          `DataChannels`: open, send, close; a core on one association
* `channel`           what a channel is; what a peer may make us hold
* `channel_events`    what is reported, and why messages are dropped
* `association`       `SctpAssociation` beneath: messages on streams, without channels
* `options`, `events`, `drops`    what it can be told, what it reports, why packets are dropped

To learn how data channels work (RFC 8831, 8832):

* `dcep`              the two messages that open a channel
* `payload`           texts, bytes and empty messages
* `stream_pair`       the life of a stream identifier, to its next use
* `channel_table`     what the peer makes of the channels, and what a broken rule costs it
* `channel_snapshot`  the channels as bytes, to go on in another process

To learn what is in a packet (RFC 9260 §3):

* `packet`, `checksum`    the common header, and chunks behind one another
* `chunks`            a package: one kind of chunk a file
* `parameters`        a package: what INIT, INIT ACK and RE-CONFIG carry
* `causes`            a package: why something was refused
* `tlv`               how parameters and causes are written
* `unrecognized`      what becomes of types that nobody here knows

To learn how an association lives (RFC 9260 §5 to §9), in the order of its life:

* `states`            the table
* `parts`, `control_block`    what it is made of, and what the parts share
* `dispatch`          the way of a packet to the part that it concerns; `inbound` says whether it belongs here at all
* `handshake`         INIT, INIT ACK, COOKIE ECHO, COOKIE ACK, for the side that begins
* `answering`         the same for the side that answers; `cookie` is written for an attacker to edit, `terms` is what
                      was agreed on
* `tx`                a package: the sending half, from the queue to congestion control
* `rx`                a package: the receiving half, from TSNs to whole messages in order
* `transfer`          the way of DATA and SACK, which nearly all packets consist of; `data_path` is their bytes
* `outbox`, `bundling`    what waits besides DATA, and making packets of it all
* `stream_reset`      streams start anew (RFC 6525)
* `heartbeats`        asking a silent peer for a sign of life
* `shutdown`          the end in good order
* `snapshot`    all of it as bytes
* `timers`            deadlines
"""
