"""stun."""
