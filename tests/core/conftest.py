"""How Hypothesis runs here: without a deadline, and saying how to repeat what it found."""

from hypothesis import settings

settings.register_profile(
    "ledger",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    print_blob=True,
)
settings.load_profile("ledger")
