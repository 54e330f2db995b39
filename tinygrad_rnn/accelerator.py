"""What scripts written for PyTorch ask before they move to a GPU: there is none here. Imports nothing."""


def is_available() -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def current_accelerator(check_available: bool = False) -> None:
    """None."""
