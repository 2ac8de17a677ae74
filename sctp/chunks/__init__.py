"""What a packet is made of, one record a file.

Read in this order:

* `chunk`                 any chunk: `parse_chunk`, `serialize_chunk`
* `header`                the four bytes in front of each

Beginning:

* `initiation`            what INIT and INIT ACK have in common
* `init`, `init_ack`      (1, 2) "let us talk", and the answer with a cookie
* `cookie_echo`, `cookie_ack`    (10, 11) the cookie goes back, and is accepted

Talking:

* `data`                  (0) a message, or a piece of one
* `sack`                  (3) what has arrived
* `forward_tsn`           (192) what will never arrive
* `reconfig`              (130) streams are started anew
* `heartbeat`, `heartbeat_ack`   (4, 5) is the other one alive?
* `error`                 (9) something was wrong

Ending:

* `shutdown`, `shutdown_ack`, `shutdown_complete`    (7, 8, 14) when all has been delivered
* `abort`                 (6) at once

And `unknown`, everything else, kept as it came.
"""
