"""From the caller's packets to PCM, and from PCM to the packets that the caller hears."""
