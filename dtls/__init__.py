"""DTLS 1.3 and 1.2 without input and output: datagrams in, events out, time and entropy from outside.

`association.DtlsAssociation` is what others use, with `options`, `events`, `certificate`. To learn the protocol, read
in this order:

What goes over the wire:
* `versions`, `drops`, `alerts`   names, and what ends an association
* `records`               headers of both versions; cutting a datagram into records
* `handshake.message`     the header of handshake messages, and fragments
* `handshake.*`, `extensions.*`, `acknowledgement`, `number_list`   one message or extension a file

What both versions share:
* `protection`            what opens and seals the records of an epoch
* `record_layer`          all epochs of an association; records that come before their keys
* `reassembly`            fragments to messages
* `fragmentation`, `flight`, `timers`    messages to datagrams, again and again until they are answered
* `channel`               these together: handshake messages over records that get lost
* `certificate`, `peer_identity`, `signatures`, `groups`, `cipher_suites`, `transcript`, `negotiation`, `states`

The life of an association:
* `stage`                 what a stage is: opening, handshake, established
* `offer`, `opening`      the ClientHello, and choosing the version
* `engines`               which version is spoken by which file
* `phases`, `association` the façade: when the peer may be believed, alerts, data
* `snapshot`              moving an established association to another process

DTLS 1.3:
* `key_schedule`          from a shared secret to all keys
* `protection13`          AEAD and record-number encryption
* `states13`              the order of messages, as tables
* `handshake13`, `client13`, `server13`, `established13`

DTLS 1.2:
* `prf`                   from a shared secret to all keys
* `protection12`          AEAD with the number in the clear
* `states12`              the order of messages, as tables
* `handshake12`, `client12`, `server12`, `established12`
"""
