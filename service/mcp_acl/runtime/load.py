"""What one process has taken on, counted by its host and read by whoever watches. Knows neither."""


class Load:
    """Calls under way, streams among them; and how many calls were refused because there were too many."""

    __slots__ = ("calls", "refused", "streams")

    def __init__(self) -> None:
        self.calls = 0
        self.streams = 0
        self.refused = 0
