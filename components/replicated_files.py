"""The files of an application with replicas: they go with the swarm, to whichever server runs one.

Makes a secret of the swarm for each file that may hold something that others must not read, and a config for each other
one: what the stack file itself has in plain text, for all to read. Else a key in a file of the checkout would be in the
state in plain text, and in what any manager tells of its configs. Other contents are others by name, made before the
service changes over to them and the old ones go. Leaves alone: folders, which a service can't have.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_docker as docker

import settings
from components.files import CHECKOUT, MODE
from components.labels import STACK, stack_tag
from components.swarm import Swarm
from settings.containers import Container
from settings.files import File
from settings.references import Literal, parts
from settings.replicas import LARGEST_FILE

READ_BY_OTHERS = 0o004


def given(
    name: str,
    own: settings.Application,
    contents: Mapping[str, pulumi.Input[str]],
    swarm: Swarm,
    parent: pulumi.Resource,
) -> dict[str, Any]:
    """Its files as arguments of a container's specification; `contents` are those that the stack file writes."""
    found: dict[str, list[Any]] = {"secrets": [], "configs": []}
    for index, (path, file) in enumerate(own.given_files.items()):
        text = contents[path] if file.source is None else _read(name, path, file)
        data = pulumi.Output.from_input(text).apply(_in_base64)
        opts = pulumi.ResourceOptions(
            parent=parent,
            provider=swarm.manager.server.provider,
            depends_on=list(swarm.joined.values()),
            deleted_with=swarm.begun,
            replace_with=[swarm.begun],
        )
        if _is_secret(own, path, file):
            secret = docker.Secret(
                f"{name}-{index}",
                data=_secret(data),
                labels=[docker.SecretLabelArgs(label=STACK, value=stack_tag())],
                opts=opts,
            )
            found["secrets"].append(
                docker.ServiceTaskSpecContainerSpecSecretArgs(
                    secret_id=secret.id, secret_name=secret.name, file_name=path, **_owner(own, file)
                )
            )
        else:
            config = docker.ServiceConfig(
                f"{name}-{index}",
                data=data,
                labels=[docker.ServiceConfigLabelArgs(label=STACK, value=stack_tag())],
                opts=opts,
            )
            found["configs"].append(
                docker.ServiceTaskSpecContainerSpecConfigArgs(
                    config_id=config.id, config_name=config.name, file_name=path, **_owner(own, file)
                )
            )
    return {kind: files for kind, files in found.items() if files}


def _in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _secret(data: pulumi.Output[str]) -> pulumi.Output[str]:
    return pulumi.Output.secret(data)


def _is_secret(own: Container, path: str, file: File) -> bool:
    """Whether it is not for all to read, or a reference in it stands for something, or it is of the checkout."""
    if file.source is not None or not int(file.mode or MODE, 8) & READ_BY_OTHERS:
        return True
    return any(not isinstance(one, Literal) for one in parts(own.contents[path]))


def _read(name: str, path: str, file: File) -> str:
    """A file of the checkout. Raises pulumi.RunError where it is none that a service can have."""
    source = CHECKOUT / str(file.source)
    where = f"applications.{name}.files {path}: {file.source}"
    if source.is_dir():
        raise pulumi.RunError(f"{where} is a folder, and a service of Docker gets files alone; write each file of it")
    try:
        text = source.read_text()
    except UnicodeDecodeError:
        raise pulumi.RunError(f"{where} is no text; put it into the image, as replicas have no volumes") from None
    except OSError as error:
        raise pulumi.RunError(f"{where}: {error.strerror}; write a file that is there") from None
    size = len(text.encode())
    if not 0 < size <= LARGEST_FILE:
        raise pulumi.RunError(
            f"{where} has {size} bytes, and a service of Docker gets files of 1 to {LARGEST_FILE}; "
            "put it into the image"
        )
    return text


def _owner(own: Container, file: File) -> dict[str, Any]:
    user = file.user or own.user or ""
    uid, _, gid = user.partition(":") if user.replace(":", "").isdigit() else ("0", "", "0")
    return {"file_uid": uid or "0", "file_gid": gid or "0", "file_mode": int(file.mode or MODE, 8)}
