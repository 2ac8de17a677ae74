"""Why something was refused: what ERROR and ABORT carry, one record a file.

`cause` reads and writes all causes of a chunk (`parse_causes`, `write_causes`); each of the other files is one of the
causes of RFC 9260 §3.3.10, in its words. `unknown` is any other, kept as it came.
"""
