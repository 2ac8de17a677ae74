"""What INIT, INIT ACK and RE-CONFIG carry behind their fixed fields, one record a file.

Read in this order:

* `parameter`                     all parameters of a chunk: `parse_parameters`, `write_parameters`
* `state_cookie`                  (7) the state that the answering side does not keep
* `supported_extensions`          (0x8008) which optional chunks the sender understands
* `forward_tsn_supported`         (0xC000) partial reliability
* `unrecognized_parameter`        (8) handing back what was not understood
* `heartbeat_info`                (1) inside of HEARTBEAT and HEARTBEAT ACK

Starting streams anew, which is how data channels are closed:

* `outgoing_ssn_reset_request`    (13) "I reset these streams"
* `incoming_ssn_reset_request`    (14) "please reset these streams"
* `reconfiguration_response`      (16) the answer to either, and to the rest
* `ssn_tsn_reset_request`, `add_outgoing_streams_request`, `add_incoming_streams_request`    (15, 17, 18)

Known in order to be ignored or refused:

* `ipv4_address`, `ipv6_address`, `supported_address_types`, `cookie_preservative`, `host_name_address`
* `unknown`                       everything else, kept as it came
"""
