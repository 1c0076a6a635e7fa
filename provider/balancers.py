"""Load balancers: rules from ports in front to ports of the attached instances, and who may reach them."""

from __future__ import annotations

from provider.client import Client
from provider.creation import filled, snake
from provider.protocol.base import UNKNOWN, Context, Props, Value
from provider.resource import VultrResource, unlike
from provider.storage import active

# Sets of rules, each with the name under which the API's id of a rule stands in it.
RULES = {"forwardingRules": "ruleId", "firewallRules": "id"}
MAKING = ("pending", "installing")  # of `status`


class LoadBalancer(VultrResource):
    """A load balancer of one region."""

    token = "vultr:index/loadBalancer:LoadBalancer"  # noqa: S105 (a type's name)
    noun = "load balancer"
    path, wrapper, listed = "/v2/load-balancers", "load_balancer", "load_balancers"
    seen = ("region", "label", "status", "ipv4", "ipv6", "hasSsl")
    alike = ("label", "region")

    def body(self, inputs: Props) -> Props:
        """All of it in one POST."""
        return {"region": inputs["region"], **filled(self.wanted(inputs))}

    def wanted(self, props: Props) -> Props:
        """What can be changed, by the API's names."""
        return {
            "label": props.get("label") or "",
            "balancing_algorithm": props.get("balancingAlgorithm"),
            "proxy_protocol": bool(props.get("proxyProtocol")),
            "ssl_redirect": bool(props.get("sslRedirect")),
            "instances": props.get("attachedInstances") or [],
            "vpc": props.get("vpc") or "",
            "sticky_session": {"cookie_name": props["cookieName"]} if props.get("cookieName") else None,
            "health_check": self.sent_block("healthCheck", props),
            "ssl": self.sent_block("ssl", props),
            **{snake(name): self.sent_rules(name, props) for name in RULES},
        }

    def sent_block(self, name: str, props: Props) -> Value:
        """One block by the API's names."""
        block, table = props.get(name), self.properties[name].table or {}
        return filled({snake(key): block.get(key) for key in table}) if block else None

    def sent_rules(self, name: str, props: Props) -> list[Props]:
        """Rules by the API's names; their ids are the API's own."""
        keys = [key for key in self.properties[name].table or {} if key != RULES[name]]
        return [{snake(key): rule.get(key) for key in keys} for rule in props.get(name) or []]

    def settle(self, client: Client, id: str, inputs: Props) -> None:
        """Wait until it is active: it has its addresses only then."""
        active(client, f"{self.noun} {id}", f"{self.path}/{id}", self.wrapper)

    def unfinished(self, state: Props) -> str:
        """It is made, and serves nobody yet."""
        return f"status {state['status']}" if state.get("status") in MAKING else ""

    def from_list(self, client: Client, id: str, state: Props) -> Props | None:
        """There are few of them, and each is asked for by its id."""
        return None

    def complete(self, client: Client, id: str, found: Props, state: Props) -> Props:
        """The API tells some of it apart as `generic_info`, and of a certificate only that there is one."""
        generic = found.get("generic_info") or {}
        read = {
            "balancing_algorithm": generic.get("balancing_algorithm") or "",
            "proxy_protocol": bool(generic.get("proxy_protocol")),
            "ssl_redirect": bool(generic.get("ssl_redirect")),
            "cookie_name": (generic.get("sticky_sessions") or {}).get("cookie_name") or "",
            "vpc": generic.get("vpc") or "",
            "attached_instances": found.get("instances") or [],
        }
        taken = self.taken(found) | {name: read[snake(name)] for name in self.properties if snake(name) in read}
        taken["healthCheck"] = self.read_block("healthCheck", found.get("health_check") or {})
        for name, own in RULES.items():
            rules = found.get(snake(name)) or []
            taken[name] = [{**self.read_block(name, rule), own: str(rule.get("id") or "")} for rule in rules]
        return taken

    def read_block(self, name: str, block: Props) -> Props:
        """A block by Pulumi's names."""
        table = self.properties[name].table or {}
        return {key: self.value(key, block.get(snake(key)), prop.kind) for key, prop in table.items()}

    def planned(self, olds: Props | None, inputs: Props, ctx: Context) -> Props:
        """A rule that the program writes without its id is the recorded one that says the same."""
        planned = super().planned(olds, inputs, ctx)
        for name, own in RULES.items():
            if isinstance(planned[name], list):
                known = {said(rule, own): rule for rule in (olds or {}).get(name) or []}
                planned[name] = [known.get(said(rule, own), {**rule, own: UNKNOWN}) for rule in planned[name]]
        return planned

    def alter(self, client: Client, id: str, olds: Props, news: Props) -> None:
        """One PATCH with what has changed, once an update before has come to its end."""
        active(client, f"{self.noun} {id}", f"{self.path}/{id}", self.wrapper)
        old, new = self.wanted(olds), self.wanted(news)
        body = {name: value for name, value in new.items() if value != old[name]}
        if "sticky_session" in body:
            body["sticky_session"] = body["sticky_session"] or {"cookie_name": ""}
        if body:
            client.insist(f"{self.noun} {id} to be changed", lambda: client.call("PATCH", f"{self.path}/{id}", body))
        if unlike(olds, news, "ssl") and not news.get("ssl"):
            client.insist(
                f"the certificate of {self.noun} {id}", lambda: client.call("DELETE", f"{self.path}/{id}/ssl")
            )

    def drop(self, client: Client, id: str, state: Props) -> None:
        """Refused for a while at times (`Load balancer is not ready.`); a VPC is left first."""
        if state.get("vpc"):
            client.call("PATCH", f"{self.path}/{id}", {"vpc": ""})
        what = f"{self.noun} {id} to be deleted"
        client.insist(what, lambda: client.call("DELETE", f"{self.path}/{id}"), "not ready", "locked")


def said(rule: Props, own: str) -> tuple[tuple[str, str], ...]:
    """What a rule says, without its id."""
    return tuple(sorted((key, str(value)) for key, value in rule.items() if key not in (own, "__defaults")))
