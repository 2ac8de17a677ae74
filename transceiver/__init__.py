"""transceiver."""
