"""What was saved by another name is put back in the place of what the stack file calls it now."""

from __future__ import annotations

import pytest

from tests.unit.backups_server import Server
from tests.unit.backups_shop import acts, contents, program

from apiary_backups import docker, restore  # isort: skip
from apiary_backups.errors import BackupsError  # isort: skip
from apiary_backups.items import Item  # isort: skip
from apiary_backups.journal import Book, TakenBackError, Wish  # isort: skip


def renamed(server: Server) -> None:
    """The stack file calls the volume another name, under which everything began empty."""
    server.told |= {"volumes": {"pictures": {}}, "applications": {"shop": {"volumes": ["pictures"]}, "viewer": {}}}
    folder = server.volume("pictures", begun="anew")
    for container in server.state["containers"]:
        for mount in container["Mounts"]:
            mount["Name"] = "pictures"
    server.keep()
    for name in ("apiary-await", "apiary-verdict"):
        program(server, name, f"grep -q good {folder}/picture")


def test_what_was_saved_by_another_name_takes_the_place_of_a_volume_of_the_stack(shop: Server) -> None:
    renamed(shop)
    wish = Wish(("uploads",), to="pictures")
    plan = restore.planned(shop.config, wish)
    assert plan[1:] == [
        "it takes the place of what is in pictures",
        "stands still meanwhile: shop, viewer",
        "what is in pictures is gone afterwards",
    ]
    restore.restore(shop.config, wish)
    assert contents(shop, "pictures") == {"picture": "good"}
    assert contents(shop) == {"picture": "spoilt", "more": "since"}, "the old volume is nobody's business"
    assert acts(shop) == ["stop viewer-1", "stop shop-1", "start shop-1", "start viewer-1"]


def test_that_is_taken_back_too_where_it_does_not_serve_and_gone_on_with(
    shop: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed(shop)
    program(shop, "apiary-await", f"! grep -q good {shop.place}/volumes/pictures/_data/picture")
    wish = Wish(("uploads",), to="pictures")
    with pytest.raises(TakenBackError):
        restore.restore(shop.config, wish)
    assert contents(shop, "pictures") == {"begun": "anew"}
    program(shop, "apiary-await", "true")
    with monkeypatch.context() as patch:
        patch.setattr(docker, "stop", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            restore.restore(shop.config, wish)
    restore.restore(shop.config, wish)
    assert contents(shop, "pictures") == {"picture": "good"}
    assert Book(shop.records).read() is None


def test_a_database_server_of_before_says_how_it_is_known_again(shop: Server) -> None:
    shop.restic.save_output(Item.of_database("postgres", "shop"), ["echo", "x"])
    shop.told["databases"] = {"pg": {"engine": "postgresql"}}
    with pytest.raises(BackupsError, match="write renamed_from: postgres there, and pulumi up"):
        restore.restore(shop.config, Wish(("postgres/shop",)))
