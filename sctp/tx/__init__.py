"""The sending half: what waits, what is under way, and how much of it may be.

Read `message`, `stream_queue` and `send_queue` (waiting), `outstanding`, `rto` and `congestion` (under
way), then `sender`.
"""
