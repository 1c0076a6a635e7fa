"""Whether this server's kernel has all by which Docker encrypts a network. Standard library only."""

from __future__ import annotations

import subprocess

from apiary_nodes import SwarmError

# What libnetwork (drivers/overlay/encryption.go) asks of the kernel, each tried in a network of nobody.
ENCRYPTION = {
    "ESP with AES-GCM (modules xfrm_user, esp4 and gcm)": (
        "ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x100 mode transport "
        "aead 'rfc4106(gcm(aes))' 0x" + "00" * 20 + " 64"
    ),
    "the match bpf (module xt_bpf)": (
        "iptables -t mangle -A OUTPUT -p udp -m bpf --bytecode '1,6 0 0 1' -j MARK --set-mark 1"
    ),
    "the match policy (module xt_policy)": "iptables -A INPUT -p udp -m policy --dir in --pol none -j DROP",
}


def encryption() -> None:
    """Raises SwarmError with what this kernel lacks."""
    lacking = []
    for what, trial in ENCRYPTION.items():
        words = ["unshare", "--net", "sh", "-c", trial]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()[0]
            lacking.append(f"{what}: {said.rstrip('.')}")
    if lacking:
        raise SwarmError(
            "this kernel can't encrypt the swarm's network, it lacks " + "; ".join(lacking) + ". Leave out "
            "swarm: {encrypted: true}, or have the server's kernel be Debian's own"
        )
