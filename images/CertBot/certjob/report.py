"""What became of each domain in a run, told as it is known, and summed up."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field


@dataclass
class Report:
    """What became of each domain."""

    served: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    at_risk: list[str] = field(default_factory=list)

    def good(self, domain: str, text: str) -> None:
        """The domain has what it needs."""
        self.served.append(domain)
        print(f"certbot: {domain}: {text}")

    def bad(self, domain: str, text: str, *, at_risk: bool) -> None:
        """The domain lacks something; `at_risk`: and somebody has to look."""
        (self.at_risk if at_risk else self.failed).append(domain)
        print(f"certbot: {'FAILED' if at_risk else 'not yet'}: {domain}: {text}", file=sys.stderr)

    def status(self, strict: bool) -> int:
        """The exit status, after a last line that sums up."""
        parts = [f"{len(self.served)} served"]
        parts += [f"{len(self.failed)} not yet ({', '.join(self.failed)})"] if self.failed else []
        parts += [f"{len(self.at_risk)} FAILED ({', '.join(self.at_risk)})"] if self.at_risk else []
        print(f"certbot: certificates: {'; '.join(parts)}")
        return 1 if self.at_risk or (strict and self.failed) else 0
