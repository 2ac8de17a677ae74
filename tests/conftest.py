"""What all tests share: repeatable property tests."""

from hypothesis import HealthCheck, settings

# The same examples in every run: a failure here is a failure for everybody, at once.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")
