"""The receiving half: what has arrived, what is whole, what is in order, and when to say so.

Read `data_tracker` and `sack_schedule` (acknowledging), `fragments`, `stream_order` and `delivery` (reassembly), then
`receiver`.
"""
