"""RTCP: what the two ends tell each other about the media.

Read in this order:

* `compound`             several packets in one datagram: `parse_compound`, `serialize_compound`
* `header`               the four bytes that every packet starts with, and padding
* `ntp`                  the wall clock as reports carry it
* `report_block`         how well one source is received; part of both reports
* `sender_report`        SR: what was sent, and when
* `receiver_report`      RR: the same without anything sent
* `source_description`   SDES: names of sources
* `goodbye`              BYE: a source leaves
* `transport_feedback`   when each packet of a transport arrived, for the sender's bandwidth estimation
* `unknown`              everything else, kept as it came
"""
