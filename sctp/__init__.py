"""SCTP over DTLS, DCEP and data channels."""
