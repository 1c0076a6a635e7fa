"""The monitor of a server: what it watches, when it alarms, whom it tells, and the page of a day."""
