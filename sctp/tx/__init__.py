"""The sending half: what waits, what is under way, and how much of it may be.

Read `message`, `stream_queue` and `send_queue` (waiting), `outstanding`, `rto`, `congestion` and `peer_window` (under
way), `forwarding` (given up), then `sender`. `composing` fills packets from it, and `series` those of a large message
the short way; `sack_check` stands in front of it, `acknowledging` is what a SACK tells.
"""
